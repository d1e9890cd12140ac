"""The protocol under every interleaving of two processes and a handful of faults, and what happens without its rules.

Each scenario visits every state there is and prints how many. Then each rule that the design rests on is
taken out, once, and the exploration must find a story in which that breaks a promise.
"""

from __future__ import annotations

import pytest

from tests.model.explore import Counterexample
from tests.model.moves import Bugs
from tests.model.scenarios import FAILURE, PAUSE, SCENARIOS, SUCCESS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_promise_holds_in_every_state(scenario: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
    found = scenario.explore()
    with capsys.disabled():
        print(
            f"\nmodel: {scenario.name}, {scenario.faults} faults: {found.states:,} states,"
            f" {found.records:,} records, {found.ends:,} ends ",
            end="",
        )
    assert found.counterexample is None, f"\n{found.counterexample}"
    assert found.ends > 0


def test_without_the_relay_the_redelivery_publishes_what_is_left() -> None:
    assert SUCCESS.explore(relay=False).counterexample is None


def counterexample(scenario: Scenario, bugs: Bugs, *, relay: bool = True) -> Counterexample:
    found = scenario.explore(bugs, relay=relay).counterexample
    assert found is not None, "the exploration did not notice"
    print(f"\n{scenario.name}, {bugs}:\n{found}")
    return found


def test_without_the_token_check_a_holder_that_lost_its_lease_commits() -> None:
    found = counterexample(SUCCESS, Bugs(unfenced=True))
    assert found.promise.startswith("P6: token 1 committed")
    assert any("lease" in line and "while its holder lives" in line for line in found.story)


def test_an_ack_before_the_retry_copy_is_confirmed_loses_the_job() -> None:
    found = counterexample(FAILURE, Bugs(ack_before_copy=True))
    assert found.promise == "P4: the job of confirm is lost: no message can bring it on"
    assert "too early" in found.story[-1]


def test_an_ack_before_the_publish_loses_the_event_when_no_relay_helps() -> None:
    found = counterexample(SUCCESS, Bugs(ack_before_publish=True), relay=False)
    assert found.promise.startswith("P4: the message of confirm is gone")
    assert "confirm/order.confirmed unpublished" in found.promise


def test_a_publish_before_the_commit_shows_an_event_of_a_step_that_did_not_happen() -> None:
    found = counterexample(SUCCESS, Bugs(publish_before_commit=True))
    assert found.promise == "P2: confirm/order.confirmed is visible, but its step is not committed"


def test_acking_every_copy_that_is_not_newer_than_the_record_loses_the_job() -> None:
    found = counterexample(FAILURE, Bugs(not_newer_is_acked=True))
    assert found.promise == "P4: the job of confirm is lost: no message can bring it on"
    assert any("Stale" in line for line in found.story)


def test_an_ack_of_a_paused_job_that_is_not_held_loses_it() -> None:
    found = counterexample(PAUSE, Bugs(paused_is_acked=True))
    assert found.promise == "P4: the job of confirm is lost: no message can bring it on"
    assert any("order: pause" in line for line in found.story)


def test_a_counterexample_is_told_as_numbered_moves_that_end_in_the_promise() -> None:
    told = str(counterexample(FAILURE, Bugs(not_newer_is_acked=True))).splitlines()
    assert told[0].lstrip().startswith("1. ")
    assert any("FAULT: " in line for line in told)
    assert told[-1].lstrip().startswith("=> P4")
