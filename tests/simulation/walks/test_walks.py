"""Ten thousand random walks over the pure core, and five hundred that hypothesis can shrink."""

from __future__ import annotations

import time
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pavane.core import pausing
from tests.simulation.walks.floor import Draw
from tests.simulation.walks.mend import mend
from tests.simulation.walks.moves import step_once
from tests.simulation.walks.rules import RULES
from tests.simulation.walks.walk import Walk

WALKS = 10_000
STEPS = 40
SEED = 1


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that walks of few jobs release them in more than one call."""
    monkeypatch.setattr(pausing, "RELEASED_AT_ONCE", 2)


def walk_along(draw: Draw) -> Walk:
    """A walk of so many steps, brought to rest in the end."""
    walk = Walk(draw)
    for _ in range(STEPS):
        step_once(walk)
    mend(walk)
    return walk


def seeded(seed: int) -> Draw:
    chance = Random(seed).random
    return lambda choices: int(chance() * choices)


def test_the_promises_hold_after_every_step_of_every_walk(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    met: Counter[str] = Counter()
    seeds = range(SEED, SEED + WALKS)
    for seed in seeds:
        try:
            met += walk_along(seeded(seed)).rules
        except Exception as error:
            error.add_note(f"walk with seed {seed}: walk_along(seeded({seed}))")
            raise
    with capsys.disabled():
        print(f"\nwalks: seeds {seeds.start} to {seeds.stop - 1}, {STEPS} steps and the way to rest")
        print("\n".join(f"{count:9,}  {rule}" for rule, count in sorted(met.items())))
        print(f"walks: {len(RULES)} rules met, {time.monotonic() - began:.0f} s")
    assert met.keys() - RULES == set(), "answers that tests/simulation/walks/rules.py does not name"
    assert RULES - met.keys() == set(), "rules that no walk has met"


@settings(
    max_examples=500,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=400))
@example([0, 244, 3, 14, 621, 2781, 0, 110, 53, 0, 96])  # a step that was skipped before it ever began
def test_the_promises_hold_along_walks_that_can_be_shrunk(numbers: list[int]) -> None:
    """The numbers decide, one after the other and again from the first; a shorter list is a simpler walk."""
    taken = 0

    def draw(choices: int) -> int:
        nonlocal taken
        taken += 1
        return (numbers[taken % len(numbers)] + taken // len(numbers)) % choices

    walk_along(draw)
