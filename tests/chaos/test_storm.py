"""A short storm as a part of `make test`; `make chaos` plays longer ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.demo.options import BadOptions
from tests.chaos.program import STOPPED_WITHIN, figures_of
from tests.chaos.storm.faults import FAULTS
from tests.chaos.storm.plan import KINDS, ONCE, Plan

LONGEST = 400.0
"""Seconds on a busy machine; alone it takes a minute, more than half of it to start and to come to rest."""

KNOWN = ("MINUTES", "SEED", "RATE", "WORKERS", "MODE", "DATA", "JSON")


def storm(folder: Path, **variables: str) -> dict[str, Any]:
    """One storm; its figures."""
    return figures_of("tests.chaos.storm", folder, variables, known=KNOWN, longest=LONGEST)


@pytest.mark.timeout(LONGEST + 2 * STOPPED_WITHIN)
def test_nothing_is_violated_in_a_short_storm(tmp_path: Path) -> None:
    figures = storm(tmp_path, MINUTES="0.4")

    assert figures["violations"] == []
    assert figures["runs"]["checked"] >= 100
    assert sum(figures["faults"].values()) >= 3
    assert figures["faults"][ONCE] == 1


def test_the_seed_makes_the_faults_and_each_kind_has_its_turn() -> None:
    plan, same, other = Plan(seed=5), Plan(seed=5), Plan(seed=6)
    assert plan.strikes() == same.strikes()
    assert plan.strikes() != other.strikes()
    for seed in range(50):
        kinds = [strike.kind for strike in Plan(seed=seed).strikes()]
        assert set(kinds) == set(KINDS) == set(FAULTS), seed
        assert kinds.count(ONCE) == 1
        assert 20 <= len(kinds) <= 60, seed


def test_the_environment_is_read_and_what_cannot_be_meant_is_refused() -> None:
    plan = Plan.read({"MINUTES": "0.5", "SEED": "7", "RATE": "10", "JSON": "1"})
    assert (plan.minutes, plan.seed, plan.starts, plan.json, plan.longest) == (0.5, 7, 300, True, 5.0)
    for wrong in ({"MINUTES": "long"}, {"MODE": "breeze"}):
        with pytest.raises(BadOptions, match=next(iter(wrong))):
            Plan.read(wrong)
