"""Begin: who is granted a job, in which order it is answered, and what becomes of jobs that kill their holders."""

from __future__ import annotations

import pytest

from pavane.core.answers import (
    Committed,
    Dead,
    Exhausted,
    Granted,
    Isolate,
    Leased,
    NotYet,
    Refused,
    Stale,
    UnknownRun,
)
from tests.unit.core.world import CONTRACT, LEASE, NOW, RUN, UNDO, World, event, started, verdict

JOB = "shop.order:start"
OTHER = "shop.pay:start"


def ended(ending: str) -> World:
    """A run that another step has ended, with a lease of `JOB` in every state it can be left in."""
    world = started()
    world.done(OTHER, ending)
    return world


# granted


def test_a_grant_says_all_that_the_handler_needs() -> None:
    world = started()
    granted = world.granted(JOB)
    assert granted.token == 1
    assert (granted.attempt, granted.failures, granted.last_delay) == (1, 0, 0)
    assert (granted.lease_until, granted.step_started_at, granted.now) == (NOW + LEASE, NOW, NOW)
    assert (granted.event, granted.result) == (None, None)


def test_tokens_grow_over_the_whole_record() -> None:
    world = started()
    tokens = [world.granted(JOB).token, world.granted(OTHER).token]
    world.now += LEASE + 1
    tokens += [world.granted(JOB).token]
    assert tokens == [1, 2, 3]


def test_a_begin_sent_again_is_granted_the_same_lease_and_counts_once() -> None:
    world = started()
    first = world.begin(JOB, begin_id="one")
    kept = world.live
    assert world.begin(JOB, begin_id="one") == first
    assert world.live is kept
    assert world.work(JOB).grants == 1


def test_a_higher_generation_counts_as_equal_and_the_row_does_not_follow_it() -> None:
    world = started()
    world.granted(JOB, generation=7)
    assert world.work(JOB).generation == 0


# the order of the answers


def test_another_delivery_of_a_leased_job_is_told_how_long() -> None:
    world = started()
    world.granted(JOB)
    world.now += 1_000
    assert world.begin(JOB) == Leased(remaining=LEASE - 1_000)


def test_committed_comes_before_everything_also_for_an_older_generation_and_after_the_end() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token)
    world.done(JOB, "stock.reserved", generation=1)
    world.done(OTHER, "order.rejected")
    answer = world.begin(JOB)
    assert isinstance(answer, Committed)
    assert [row.row for row in answer.rows] == [f"{JOB}/stock.reserved"]
    world.mark(f"{JOB}/stock.reserved")
    assert world.begin(JOB) == Committed()


def test_dead_comes_before_stale() -> None:
    world = started()
    world.kill(JOB)
    answer = world.begin(JOB, generation=0)
    assert isinstance(answer, Dead)
    assert (answer.publish, answer.generation) == (True, 1)
    world.mark_copy(JOB, 1)
    answer = world.begin(JOB, generation=0)
    assert isinstance(answer, Dead)
    assert not answer.publish


def test_a_letter_moved_into_the_workers_queue_by_hand_goes_back() -> None:
    world = started()
    world.kill(JOB)
    world.mark_copy(JOB, 1)
    answer = world.begin(JOB, generation=1)
    assert isinstance(answer, Dead)
    assert answer.publish


def test_stale_comes_before_leased_and_before_the_next_time() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, delay=5_000)
    assert isinstance(world.begin(JOB), Stale)
    world.now += 5_000
    world.granted(JOB, generation=1)
    assert isinstance(world.begin(JOB), Stale)
    assert isinstance(world.begin(JOB, generation=1), Leased)


@pytest.mark.parametrize("ending", ["order.confirmed", "order.rejected"])
def test_leased_stale_and_dead_are_answered_whatever_the_phase(ending: str) -> None:
    world = started()
    world.granted(JOB)
    world.fail("shop.stale:start", world.granted("shop.stale:start").token)
    world.kill("shop.dead:start")
    world.done(OTHER, ending)
    assert isinstance(world.begin(JOB), Leased)
    assert isinstance(world.begin("shop.stale:start"), Stale)
    assert isinstance(world.begin("shop.dead:start"), Dead)


def test_a_retry_before_its_time_is_told_how_long_and_nothing_is_written() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, delay=5_000)
    kept = world.live
    assert world.begin(JOB, generation=1) == NotYet(remaining=5_000)
    assert world.live is kept


# phases


def test_a_completed_run_still_grants_and_commits_its_other_branches() -> None:
    world = ended("order.confirmed")
    answer = world.done(JOB, "stock.reserved", compensation=UNDO)
    assert isinstance(answer, Committed)
    assert [row.event.name for row in answer.rows] == ["stock.reserved"]
    assert not world.row(JOB).closing


def test_a_failed_run_refuses_what_comes_too_late_for_good() -> None:
    world = ended("order.rejected")
    assert world.begin(JOB) == Refused(reason="run_failed")
    assert world.row(JOB).state == "refused"
    assert world.live.history[-1].kind == "step_refused"
    kept = world.live
    assert world.begin(JOB) == Refused(reason="run_failed")
    assert world.live is kept


def test_a_retry_in_a_failing_run_is_refused_and_no_longer_counted_as_ahead() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB, compensation=UNDO).token)
    world.granted("shop.slow:start")
    world.done(OTHER, "order.rejected")
    assert world.begin(JOB, generation=1) == Refused(reason="run_compensating")
    assert world.live.head.retrying == 0


def test_subscribers_of_the_ending_event_are_closing_steps_and_so_is_what_they_cause() -> None:
    for ending, phase in (("order.confirmed", "completed"), ("order.rejected", "failed")):
        world = ended(ending)
        ending_event = event(f"{OTHER}/{ending}", ending)
        closing = f"shop.tell:{ending_event.id}"
        world.commit(closing, world.granted(closing, event=ending_event).token, "customer.told")
        told = event(f"{closing}/customer.told", "customer.told")
        after = f"shop.archive:{told.id}"
        assert isinstance(world.begin(after, event=told, cause=closing), Granted)
        assert world.row(closing).closing
        assert world.row(after).closing
        assert world.live.head.phase == phase


def test_a_header_that_names_a_closing_cause_counts_only_if_that_step_emitted_the_event() -> None:
    world = ended("order.rejected")
    ending_event = event(f"{OTHER}/order.rejected", "order.rejected")
    closing = f"shop.tell:{ending_event.id}"
    world.commit(closing, world.granted(closing, event=ending_event).token, "customer.told")
    forged = event("forged", "customer.told")
    assert world.begin("shop.archive:forged", event=forged, cause=closing) == Refused(reason="run_failed")
    assert world.begin("shop.x:start", cause="shop.nothing:start") == Refused(reason="run_failed")


def test_steps_on_framework_events_are_closing_from_the_start_and_granted_in_every_phase() -> None:
    world = started()
    world.granted("shop.alert:f1", framework=True)
    assert world.row("shop.alert:f1").closing
    assert (world.live.head.leases, world.live.head.other_leases) == (0, 1)
    world.done(OTHER, "order.rejected")
    assert world.live.head.phase == "failed"
    assert isinstance(world.begin("shop.alert:f2", framework=True), Granted)


def test_a_closing_step_changes_no_phase_and_is_never_undone() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done("shop.alert:f1", "order.rejected", framework=True, compensation=UNDO)
    assert world.live.head.phase == "running"
    world.done(OTHER, "order.rejected")
    assert world.live.undo == [JOB]


def test_an_undo_is_refused_unless_its_run_is_undoing_it() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    assert world.begin(JOB, kind="undo") == Refused(reason="no_undo")
    world.done(OTHER, "order.rejected")
    granted = world.granted(JOB, kind="undo")
    assert granted.event is not None
    assert granted.result is not None
    assert (granted.event.id, granted.result.name, granted.reason) == (
        "start",
        "stock.reserved",
        "order.rejected",
    )


# which run


def test_only_a_starting_event_creates_a_run() -> None:
    world = World()
    assert world.begin(JOB) == UnknownRun()
    assert world.record is None
    answer = world.begin(JOB, run_id="1", contract=CONTRACT, digest="d")
    assert isinstance(answer, Granted)
    assert (world.live.head.workflow, world.live.head.start_event) == ("order", "start")
    assert world.kinds()[:2] == ["run_started", "step_started"]
    assert not world.live.outbox, "the event was delivered: nobody needs to publish it"


def test_a_second_start_is_refused_without_a_row_and_recorded() -> None:
    world = started()
    assert world.begin("shop.order:other", contract=CONTRACT) == Refused(reason="second_start")
    assert list(world.live.steps) == []
    assert (world.live.history[-1].kind, world.live.history[-1].reason) == ("step_refused", "second_start")
    assert isinstance(world.begin(JOB, contract=CONTRACT), Granted)


def test_an_event_outside_workflows_gets_a_record_of_its_own() -> None:
    world = World(key="~e1")
    assert isinstance(world.begin("shop.tell:e1"), Granted)
    assert not world.live.head.is_run
    assert isinstance(world.commit("shop.tell:e1", 1, "order.rejected"), Committed)
    assert world.live.head.phase == "running"
    assert world.key != RUN


# crashes


def test_after_two_crashes_a_job_is_isolated_and_a_third_alone_is_a_crash_loop() -> None:
    world = started()
    world.crash(JOB)
    world.crash(JOB)
    kept = world.live
    assert world.begin(JOB) == Isolate()
    assert world.live is kept
    world.granted(JOB, alone=True)
    world.now += LEASE + 1
    for alone in (False, True):
        answer = world.begin(JOB, alone=alone)
        assert isinstance(answer, Exhausted)
        assert (answer.reason, answer.attempts) == ("crash_loop", 3)
    answer = world.begin(JOB, verdict=verdict(JOB, reason="crash_loop"))
    assert isinstance(answer, Dead)
    assert answer.letter.reason == "crash_loop"
    assert (world.live.head.leases, world.live.head.stalled) == (0, [f"dead:{JOB}"])
    assert [attempt.outcome for attempt in world.work(JOB).attempts] == ["lost", "lost", "lost"]


@pytest.mark.parametrize("end", ["fail", "release"])
def test_any_end_but_a_crash_clears_the_count(end: str) -> None:
    world = started()
    world.crash(JOB)
    world.crash(JOB)
    token = world.granted(JOB, alone=True).token
    getattr(world, end)(JOB, token)
    assert isinstance(world.begin(JOB, generation=1), Granted)


def test_a_holder_that_lives_and_reports_its_lost_token_has_not_crashed() -> None:
    world = started()
    world.crash(JOB)
    old = world.crash(JOB)
    world.granted(JOB, alone=True)
    world.release(JOB, old)
    world.now += LEASE + 1
    assert world.begin(JOB) == Isolate()
    assert [attempt.outcome for attempt in world.work(JOB).attempts[:2]] == ["lost", "fenced"]


def test_a_lost_token_can_be_reported_by_the_next_begin_also_if_nobody_took_the_lease() -> None:
    world = started()
    world.crash(JOB)
    last = world.crash(JOB)
    assert isinstance(world.begin(JOB, ended=(last,)), Granted)
    assert len(world.work(JOB).granted) == 2


def test_a_report_that_is_not_granted_is_kept_all_the_same() -> None:
    world = started()
    lost = world.crash(JOB)
    world.granted(JOB)
    assert isinstance(world.begin(JOB, ended=(lost,)), Leased)
    assert len(world.work(JOB).granted) == 1


def test_an_undo_that_kills_its_holders_is_dead_lettered_too() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done(OTHER, "order.rejected")
    for alone in (False, False, True):
        world.crash(JOB, kind="undo", alone=alone)
    assert isinstance(world.begin(JOB, kind="undo"), Exhausted)
    assert isinstance(world.begin(JOB, kind="undo", verdict=verdict(JOB, kind="undo")), Dead)
    assert world.live.head.stalled == [f"undo_stuck:{JOB}"]


# exhausted in begin


def test_a_job_whose_time_for_all_attempts_is_over_is_exhausted_and_dead_with_a_verdict() -> None:
    world = started()
    world.crash(JOB)
    world.now = NOW + 60_000
    kept = world.live
    answer = world.begin(JOB, step_timeout=60_000)
    assert isinstance(answer, Exhausted)
    assert (answer.reason, answer.error_type) == ("deadline", "StepDeadline")
    assert world.live is kept
    ruling = verdict(JOB, "answer", answer=event("answer", "order.rejected"), reason="deadline")
    dead = world.begin(JOB, step_timeout=60_000, verdict=ruling)
    assert isinstance(dead, Dead)
    assert [row.event.name for row in dead.rows] == ["order.rejected"]
    assert world.live.head.phase == "failed"
    assert isinstance(world.begin(JOB, step_timeout=60_000, verdict=ruling), Dead)


def test_a_job_that_never_began_is_not_past_its_time() -> None:
    world = started()
    world.now += 10**9
    assert isinstance(world.begin(JOB, step_timeout=60_000), Granted)


def test_a_verdict_that_is_not_needed_is_ignored() -> None:
    world = started()
    assert isinstance(world.begin(JOB, verdict=verdict(JOB)), Granted)
