"""Dead letters: rejected and put back messages, redrive, discard, marks."""

from __future__ import annotations

import pytest

from pavane.core.answers import (
    Committed,
    Dead,
    Discarded,
    Granted,
    PutBack,
    Redriven,
    Refused,
    Retrying,
    Stale,
    UnknownRun,
)
from pavane.core.calls import CopyMark
from tests.unit.core.world import LEASE, UNDO, World, event, started, verdict

JOB = "shop.order:start"


def dead(**given: object) -> World:
    """A run whose only job is dead, its letter safe in the queue."""
    world = started(**given)
    world.mark("start")
    world.kill(JOB)
    world.mark_copy(JOB, 1)
    return world


# rejected messages


def test_a_message_that_cannot_become_a_job_is_dead_at_once_and_stalls_its_run() -> None:
    world = started()
    answer = world.reject(JOB, event=None)
    assert isinstance(answer, Dead)
    assert (answer.publish, answer.generation) == (True, 1)
    assert world.live.head.stalled == [f"dead:{JOB}"]
    assert list(world.live.letters) == [answer.letter.id]
    again = world.reject(JOB, event=None)
    assert isinstance(again, Dead)
    assert again.publish
    world.mark_copy(JOB, 1)
    again = world.reject(JOB, event=None)
    assert isinstance(again, Dead)
    assert not again.publish


def test_a_message_without_a_run_gets_a_record_of_its_own_only_if_the_caller_says_so() -> None:
    world = World(key="~letter")
    assert world.reject("shop.order:letter") == UnknownRun()
    assert world.record is None
    assert isinstance(world.reject("shop.order:letter", own_record=True), Dead)
    assert world.live.head.letters == 1
    assert world.live.head.stalled == []


def test_what_the_broker_gave_up_on_before_it_ever_began_is_put_back_once() -> None:
    world = started()
    assert world.reject(JOB, delivery_limit=True) == PutBack(delay=0)
    assert world.row(JOB).state == "retrying"
    assert isinstance(world.reject(JOB, delivery_limit=True), Dead)
    assert world.live.head.retrying == 0


def test_what_the_broker_gave_up_on_goes_back_to_its_queue_while_somebody_holds_it() -> None:
    world = started()
    world.granted(JOB)
    world.now += 1_000
    assert world.reject(JOB, delivery_limit=True) == PutBack(delay=LEASE - 1_000)


def test_a_message_that_cannot_be_read_does_not_take_the_job_from_a_holder_who_could_read_it() -> None:
    world = started()
    token = world.granted(JOB).token
    world.now += 1_000
    assert world.reject(JOB, event=None) == PutBack(delay=LEASE - 1_000)
    assert isinstance(world.commit(JOB, token, "stock.reserved"), Committed)
    assert isinstance(world.reject(JOB, event=None), Committed)


def test_a_rejection_that_ends_the_last_lease_of_a_failing_run_starts_its_undo() -> None:
    world = started()
    world.crash("shop.reserve:start", compensation=UNDO)
    world.done(JOB, "order.rejected")
    assert world.live.head.chain == "waiting"
    answer = world.reject("shop.reserve:start", delivery_limit=True)
    assert isinstance(answer, Dead)
    assert [row.row for row in answer.rows] == ["undo/shop.reserve:start"]


def test_what_the_broker_gave_up_on_is_dropped_if_it_is_committed() -> None:
    world = started()
    world.done(JOB, "stock.reserved")
    answer = world.reject(JOB, delivery_limit=True)
    assert isinstance(answer, Committed)
    assert [row.event.name for row in answer.rows] == ["stock.reserved"]


def test_what_the_broker_gave_up_on_after_it_began_is_dead() -> None:
    world = started()
    world.crash(JOB)
    assert isinstance(world.reject(JOB, delivery_limit=True), Dead)
    assert world.live.head.leases == 0
    assert world.begin(JOB) == world.begin(JOB)


def test_an_old_message_that_the_broker_gave_up_on_still_publishes_the_copy_that_replaced_it() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, delay=5_000)
    world.now += 1_000
    assert world.reject(JOB, delivery_limit=True) == Stale(publish="retry", generation=1, delay=4_000)
    world.mark_copy(JOB, 1)
    assert world.reject(JOB, delivery_limit=True) == Stale(publish="", generation=1, delay=4_000)
    assert world.row(JOB).state == "retrying"


def test_an_old_message_that_cannot_be_read_does_not_kill_the_job_that_goes_on() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, delay=5_000)
    world.mark_copy(JOB, 1)
    assert isinstance(world.reject(JOB, event=None), Stale)
    assert not world.live.letters


def test_a_rejected_message_of_a_run_that_refuses_it_is_dropped() -> None:
    world = started()
    world.done(JOB, "order.rejected")
    world.begin("shop.other:start")
    assert isinstance(world.reject("shop.other:start"), Committed)


def test_a_message_rejected_in_a_failing_run_is_listed_but_its_policy_is_not_carried_out() -> None:
    world = started()
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.done(JOB, "order.rejected")
    ruling = verdict("shop.other:start", "answer", answer=event("answer", "order.answered"))
    answer = world.reject("shop.other:start", verdict=ruling)
    assert isinstance(answer, Dead)
    assert not answer.letter.answered
    assert "answer" not in world.live.outbox


# redrive


def test_a_redriven_job_has_all_its_attempts_before_it_and_the_run_is_no_longer_stalled() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token)
    world.mark_copy(JOB, 1)
    token = world.granted(JOB, generation=1).token
    answer = world.fail(JOB, token, max_attempts=2, verdict=verdict(JOB))
    assert isinstance(answer, Dead)
    assert world.live.head.stalled == [f"dead:{JOB}"]
    assert world.redrive(JOB) == Redriven(outcome="publish", generation=3)
    assert world.live.head.stalled == []
    assert world.live.head.letters == len(world.live.letters) == 0
    assert world.row(JOB).ended_at == 0, "it is at work again, and would seem to have ended before it began"
    granted = world.granted(JOB, generation=3)
    assert granted.failures == 0
    assert world.fail(JOB, granted.token, max_attempts=2) == Retrying(generation=4, delay=0)


def test_a_redrive_is_answered_again_until_its_copy_is_marked_and_gone_after_that() -> None:
    world = dead()
    assert world.redrive(JOB, generation=1) == Redriven(outcome="publish", generation=2)
    kept = world.live
    assert world.redrive(JOB, generation=1) == Redriven(outcome="again", generation=2)
    assert world.redrive(JOB, generation=1, pass_id="another") == Redriven(outcome="again", generation=2)
    assert world.live is kept
    world.mark_copy(JOB, 2)
    assert world.redrive(JOB, generation=1) == Redriven(outcome="gone", generation=2)


def test_a_redrive_of_what_was_discarded_or_never_was_is_gone() -> None:
    world = dead()
    world.discard(JOB, then="leave")
    assert world.redrive(JOB) == Redriven(outcome="gone")
    assert world.redrive("shop.other:start", generation=0) == Redriven(outcome="gone")


def test_an_answered_letter_is_redriven_only_by_force() -> None:
    world = started()
    world.kill(JOB, "answer", answer=event("answer", "order.answered"))
    assert world.redrive(JOB) == Redriven(outcome="refused", reason="answered")
    assert world.redrive(JOB, force=True).outcome == "publish"


def test_a_letter_of_a_failed_run_is_redriven_only_if_its_step_is_a_closing_one() -> None:
    world = started()
    world.kill("shop.other:start")
    world.done(JOB, "order.rejected")
    ending = event(f"{JOB}/order.rejected", "order.rejected")
    closing = f"shop.tell:{ending.id}"
    world.kill(closing, event=ending)
    assert world.redrive("shop.other:start") == Redriven(outcome="refused", reason="run_failed")
    assert world.redrive(closing).outcome == "publish"
    assert isinstance(world.begin(closing, event=ending, generation=2), Granted)


def test_a_letter_of_a_completed_run_can_be_redriven() -> None:
    world = dead()
    world.done("shop.other:start", "order.confirmed")
    assert world.redrive(JOB).outcome == "publish"
    assert isinstance(world.begin(JOB, generation=2), Granted)


def test_the_time_limit_of_all_attempts_begins_anew_with_a_redrive() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, step_timeout=60_000)
    world.mark_copy(JOB, 1)
    world.now += 60_000
    answer = world.begin(JOB, generation=1, step_timeout=60_000, verdict=verdict(JOB, reason="deadline"))
    assert isinstance(answer, Dead)
    world.now += 60_000
    world.redrive(JOB)
    assert isinstance(world.begin(JOB, generation=3, step_timeout=60_000), Granted)
    world.now += 59_999
    assert isinstance(world.fail(JOB, world.work(JOB).token, step_timeout=60_000), Retrying)


def test_a_dead_undo_stalls_its_run_and_goes_on_when_it_is_redriven() -> None:
    world = started()
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.done(JOB, "order.rejected")
    world.kill("shop.reserve:start", kind="undo")
    assert world.row("shop.reserve:start").state == "undo_stuck"
    assert world.live.head.stalled == ["undo_stuck:shop.reserve:start"]
    answer = world.begin("shop.reserve:start", kind="undo", generation=0)
    assert isinstance(answer, Dead)
    assert answer.publish
    assert world.redrive("shop.reserve:start", "undo") == Redriven(outcome="publish", generation=2)
    assert world.live.head.stalled == []
    token = world.granted("shop.reserve:start", kind="undo", generation=2).token
    world.commit_undo("shop.reserve:start", token)
    assert world.live.head.phase == "compensated"


# discard


def test_the_letter_of_a_live_run_is_dropped_only_with_a_decision() -> None:
    world = dead()
    assert world.discard(JOB) == Discarded(outcome="refused", reason="run_is_live")
    assert world.discard(JOB, then="leave").outcome == "done"
    assert world.live.head.stalled == [f"discarded:{JOB}"]
    assert world.live.head.letters == 0
    assert world.discard(JOB, then="leave") == Discarded(outcome="gone")
    assert world.begin(JOB) == Refused(reason="discarded")


def test_discarding_with_compensate_fails_the_run_and_undoes_what_was_done() -> None:
    world = started()
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.kill(JOB, compensation=UNDO)
    answer = world.discard(JOB, then="compensate")
    assert answer.outcome == "done"
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    assert world.live.undo == [JOB, "shop.reserve:start"]
    assert (world.live.head.phase, world.live.head.reason) == ("compensating", "step_dead")


def test_a_stuck_undo_cannot_be_discarded_into_compensating_again() -> None:
    world = started()
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.done(JOB, "order.rejected")
    world.kill("shop.reserve:start", kind="undo")
    refused = Discarded(outcome="refused", reason="run_compensating")
    assert world.discard("shop.reserve:start", "undo", then="compensate") == refused
    assert world.discard("shop.reserve:start", "undo", then="leave").outcome == "done"
    assert world.live.head.stalled == ["discarded:shop.reserve:start"]


def test_letters_that_no_run_waits_for_are_dropped_without_a_decision() -> None:
    ended = dead()
    ended.done("shop.other:start", "order.confirmed")
    answered = started()
    answered.kill(JOB, "answer", answer=event("answer", "order.answered"))
    loose = World(key="~start")
    loose.kill(JOB)
    for world in (ended, answered, loose):
        assert world.discard(JOB).outcome == "done"
        assert world.live.head.letters == 0
        assert world.live.head.stalled == []


def test_a_letter_that_was_redriven_meanwhile_stays_until_its_copy_is_marked() -> None:
    """The process that redrove it may have died before it published: then this letter is the only message left."""
    world = dead()
    world.redrive(JOB)
    kept = Discarded(outcome="refused", reason="redriven")
    assert world.discard(JOB, generation=1, then="leave") == kept
    world.mark_copy(JOB, 2)
    assert world.discard(JOB, generation=1, then="leave") == Discarded(outcome="gone")


# marks


def test_an_event_that_nobody_subscribes_to_is_done_with_and_the_history_says_unrouted() -> None:
    world = started()
    world.mark("start", unrouted=("start",))
    assert not world.live.outbox
    assert world.live.history[-1].kind == "unrouted"


def test_an_event_returned_although_somebody_subscribes_stays_and_its_run_is_listed() -> None:
    world = started()
    pauses = []
    for _ in range(12):
        world.mark(returned=("start",))
        pauses.append(world.live.outbox["start"].next_try - world.now)
    assert pauses[:3] == [3_000, 6_000, 12_000]
    assert pauses[-1] == 3_600_000
    assert world.live.head.stalled == ["unroutable:start"]
    world.mark("start")
    assert world.live.head.stalled == []
    assert not world.live.outbox


def test_a_mark_of_an_older_generation_is_ignored() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token)
    world.fail(JOB, world.granted(JOB, generation=1).token)
    world.mark_copy(JOB, 1)
    assert world.work(JOB).unpublished == "retry"
    world.mark_copy(JOB, 2)
    assert world.work(JOB).unpublished == ""


@pytest.mark.parametrize("key", ["order:1", "~start"])
def test_marking_what_is_not_there_harms_nothing(key: str) -> None:
    world = World(key=key)
    world.mark("nothing", copies=(CopyMark(step=JOB, kind="step", generation=1),))
    assert world.record is None
    world = started()
    world.mark("nothing", returned=("nor this",), copies=(CopyMark(step=JOB, kind="undo", generation=1),))
    assert list(world.live.outbox) == ["start"]
