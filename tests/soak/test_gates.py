"""Each gate lets pass what it should, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.soak.gates import Drained, Gate, judge
from tests.soak.gauges import Sample

GOOD = Drained(
    wanted=250,
    started=9000,
    steps=45_000,
    loaded_for=180,
    tasks_before=30,
    tasks=31,
    keys_before=100,
    keys=103,
    log=60,
    left=(),
)


def sampled(grown: float = 0.0, minutes: int = 30, changed: Mapping[str, Any] | None = None) -> list[Sample]:
    """A look every quarter of a minute; memory grows by so many MiB in ten minutes, after the first five."""
    first = Sample(
        at=0,
        rss=(50.0, 50.0),
        fds=(17, 17),
        threads=(2, 2),
        tasks=(60, 70),
        steps=0,
        channels=15,
        consumers=12,
        keys=9,
    )
    samples = [
        replace(first, at=at, rss=(50 + min(at, 300) / 30 + grown * max(0, at - 300) / 600, 55.0))
        for at in range(0, minutes * 60, 15)
    ]
    samples[-1] = replace(samples[-1], **(changed or {}))
    return samples


def missed(gates: list[Gate]) -> list[str]:
    return [gate.name for gate in gates if gate.passed is False]


def test_an_even_load_passes_every_gate() -> None:
    gates = judge(sampled(), GOOD)
    assert missed(gates) == []
    assert [gate.passed for gate in gates] == [True] * len(gates)


def test_memory_that_grows_once_it_is_warm_is_seen_and_the_warming_is_not() -> None:
    assert missed(judge(sampled(grown=0.8), GOOD)) == []
    assert missed(judge(sampled(grown=1.3), GOOD)) == ["memory of process 1"]


def test_a_short_soak_does_not_judge_memory() -> None:
    [memory] = [gate for gate in judge(sampled(grown=9.0, minutes=4), GOOD) if gate.name == "memory"]
    assert memory.passed is None


@pytest.mark.parametrize(
    ("name", "value"), [("fds", (17, 18)), ("threads", (2, 3)), ("channels", 16), ("consumers", 11)]
)
def test_what_has_to_stay_the_same_stays_the_same(name: str, value: object) -> None:
    assert missed(judge(sampled(changed={name: value}), GOOD)) == [name]


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("rate", {"steps": 40_000}),
        ("tasks", {"tasks": 40}),
        ("keys", {"keys": 120}),
        ("keys", {"keys": 80}),
        ("quorum log on disk", {"log": 600}),
        ("nothing left", {"left": ("3 dead letters",)}),
    ],
)
def test_what_is_left_when_all_has_ended_is_seen(gate: str, changed: dict[str, Any]) -> None:
    assert missed(judge(sampled(), replace(GOOD, **changed))) == [gate]
