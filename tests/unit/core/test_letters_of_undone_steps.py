"""A letter stays one to one with its index entry, also when the dead step is undone afterwards."""

from __future__ import annotations

from pavane.core.answers import Dead, Redriven, Refused
from tests.unit.core.world import UNDO, started, verdict


def test_an_unmarked_letter_is_published_although_its_step_is_being_undone() -> None:
    world = started()
    world.kill("shop.reserve:start", compensation=UNDO)  # its process dies before the letter is published
    world.done("shop.pay:start", "order.rejected")
    assert world.row("shop.reserve:start").state == "undoing"
    answer = world.begin("shop.reserve:start", generation=0)
    assert isinstance(answer, Dead)
    assert answer.publish
    world.mark_copy("shop.reserve:start", answer.generation)
    answer = world.begin("shop.reserve:start", generation=0)
    assert isinstance(answer, Dead)
    assert not answer.publish


def test_the_broker_giving_up_on_it_publishes_the_unmarked_letter_as_well() -> None:
    world = started()
    world.kill("shop.reserve:start", compensation=UNDO)
    world.done("shop.pay:start", "order.rejected")
    answer = world.reject("shop.reserve:start", delivery_limit=True)
    assert isinstance(answer, Dead)
    assert answer.publish


def test_a_letter_whose_step_was_undone_stays_listed_when_somebody_redrives_it() -> None:
    world = started()
    world.kill("shop.reserve:start", compensation=UNDO)
    world.done("shop.pay:start", "order.rejected")
    assert world.redrive("shop.reserve:start") == Redriven(outcome="refused", reason="run_compensating")
    world.undo("shop.reserve:start")
    assert world.redrive("shop.reserve:start") == Redriven(outcome="refused", reason="run_compensated")
    assert world.live.head.letters == len(world.live.letters) == 1
    assert world.discard("shop.reserve:start").outcome == "done"
    assert world.live.head.letters == len(world.live.letters) == 0
    assert isinstance(world.begin("shop.reserve:start", generation=0), Refused)


def test_a_resent_fail_that_failed_the_run_and_woke_its_own_undo_is_answered_as_the_first() -> None:
    world = started()
    token = world.granted("shop.reserve:start", compensation=UNDO).token
    ruling = verdict("shop.reserve:start", "compensate", reason="rejected")
    first = world.fail("shop.reserve:start", token, outcome="rejected", verdict=ruling)
    kept = world.live
    assert world.row("shop.reserve:start").state == "undoing"
    assert world.fail("shop.reserve:start", token, outcome="rejected", verdict=ruling) == first
    assert world.live is kept
