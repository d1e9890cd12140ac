"""Bugs that are planted are caught. `make planted` plants all of them everywhere; here a part, to keep it honest."""

from __future__ import annotations

import pytest

from tests.checker import recording
from tests.planted.__main__ import judge
from tests.planted.bugs import BUGS, bug, must_be_caught
from tests.planted.environment import VARIABLE, planted_from_environment
from tests.planted.tiers import CATCHERS, by_simulation, by_the_model, by_walks
from tests.simulation.world.world import simulate

AT_FIRST_SIGHT = ("ack before publish", "publish before commit", "data lost", "delay lost")
"""Those that nearly every world notices."""


@pytest.mark.parametrize("name", must_be_caught()["model"])
def test_the_model_catches_its_share(name: str) -> None:
    assert by_the_model(bug(name))


@pytest.mark.parametrize("name", must_be_caught()["walks"])
def test_the_walks_catch_their_share(name: str) -> None:
    assert by_walks(bug(name))


@pytest.mark.parametrize("name", AT_FIRST_SIGHT)
def test_worlds_catch_what_is_plain_to_see(name: str) -> None:
    assert by_simulation(bug(name))


def test_a_world_in_which_nothing_is_planted_is_clean() -> None:
    assert simulate(1).violations == []


def test_every_bug_has_to_be_caught_by_somebody_and_every_tier_has_a_share() -> None:
    assert all(one.caught_by for one in BUGS)
    assert len({one.name for one in BUGS}) == len(BUGS) >= 15
    assert all(must_be_caught()[tier] for tier in CATCHERS)


def test_whoever_misses_a_bug_is_told() -> None:
    one = bug("no fence")
    nobody: dict[str, str | None] = dict.fromkeys(map(str, CATCHERS))
    assert judge(one, nobody) == ["no fence: nobody has caught it"]
    assert judge(one, nobody | {"walks": "seed 1"}) == [
        "no fence: model must catch it",
        "no fence: simulation must catch it",
    ]


def test_a_process_plants_what_its_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = recording.RecordingStore
    with planted_from_environment("tests.checker.recording"):
        assert recording.RecordingStore is recorder
    monkeypatch.setenv(VARIABLE, "letters dropped")
    with planted_from_environment("tests.checker.recording"):
        assert recording.RecordingStore is not recorder
    assert recording.RecordingStore is recorder
