"""Commit, fail, release, renew."""

from __future__ import annotations

from pavane.core.answers import (
    Committed,
    Dead,
    Exhausted,
    Fenced,
    Granted,
    Late,
    NotYet,
    Recorded,
    Released,
    Renewed,
    Retrying,
    Stale,
)
from tests.unit.core.world import LEASE, UNDO, World, event, started, verdict

JOB = "shop.order:start"
OTHER = "shop.pay:start"


# commit


def test_a_commit_writes_result_events_data_and_the_end_of_the_lease_together() -> None:
    world = started()
    world.mark("start")
    token = world.granted(JOB).token
    answer = world.commit(JOB, token, "stock.reserved", "stock.low", data=(("left", b"3"),))
    assert isinstance(answer, Committed)
    assert [row.event.name for row in answer.rows] == ["stock.reserved", "stock.low"]
    row = world.row(JOB)
    assert (row.state, row.order, row.result) == ("committed", 1, f"{JOB}/stock.reserved")
    assert row.emitted == [f"{JOB}/stock.reserved", f"{JOB}/stock.low"]
    assert world.live.data == {"left": b"3"}
    assert world.live.head.leases == 0
    assert list(world.live.outbox) == row.emitted
    assert world.work(JOB).attempts[-1].outcome == "committed"


def test_of_two_branches_that_write_a_key_the_last_commit_wins_and_other_keys_stay() -> None:
    world = started()
    one, two = world.granted(JOB).token, world.granted(OTHER).token
    world.commit(OTHER, two, data=(("a", b"1"), ("b", b"1")))
    world.commit(JOB, one, data=(("a", b"2"),))
    assert world.live.data == {"a": b"2", "b": b"1"}
    assert world.granted("shop.third:start").data == (("a", b"2"), ("b", b"1"))


def test_only_the_token_fences() -> None:
    world = started()
    old = world.crash(JOB)
    new = world.granted(JOB).token
    assert world.commit(JOB, old, "stock.reserved") == Fenced()
    assert world.fail(JOB, old) == Fenced()
    assert world.renew(JOB, old) == Fenced()
    assert not world.row(JOB).committed
    assert isinstance(world.commit(JOB, new, "stock.reserved"), Committed)
    assert world.commit(JOB, old, "stock.reserved") == Fenced()


def test_a_lease_that_ran_out_but_was_not_taken_can_be_committed_renewed_and_failed() -> None:
    for end in ("commit", "renew", "fail"):
        world = started()
        token = world.crash(JOB)
        answer = getattr(world, end)(JOB, token)
        assert isinstance(answer, Committed | Renewed | Retrying)


def test_a_commit_of_what_was_never_begun_is_fenced() -> None:
    world = World()
    assert world.commit(JOB, 1) == Fenced()
    world.start()
    assert world.commit(JOB, 1) == Fenced()
    assert world.fail(JOB, 1) == Fenced()
    assert world.release(JOB, 1) == Fenced()
    assert world.renew(JOB, 1) == Fenced()


def test_the_first_ending_event_wins_and_later_ones_are_history() -> None:
    world = started()
    late = world.granted(OTHER).token
    answer = world.done(JOB, "order.confirmed")
    assert isinstance(answer, Committed)
    assert answer.run_ended == "completed"
    answer = world.commit(OTHER, late, "order.rejected")
    assert isinstance(answer, Committed)
    assert answer.run_ended == ""
    assert world.live.head.phase == "completed"
    assert world.live.history[-1].kind == "event_emitted"


def test_a_step_that_ends_in_a_failing_run_is_late_and_its_events_are_withheld() -> None:
    world = started()
    token = world.granted(JOB, compensation=UNDO).token
    world.done(OTHER, "order.rejected")
    world.mark(*world.live.outbox)
    answer = world.commit(JOB, token, "stock.reserved", data=(("left", b"3"),))
    assert isinstance(answer, Late)
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    assert world.row(JOB).late
    assert world.row(JOB).emitted == []
    assert list(world.live.outbox) == [f"undo/{JOB}"]
    assert world.commit(JOB, token, "stock.reserved") == answer


def test_a_late_step_that_itself_committed_a_failing_event_is_not_undone() -> None:
    world = started()
    token = world.granted(JOB, compensation=UNDO).token
    world.done(OTHER, "order.rejected")
    world.commit(JOB, token, "order.rejected")
    assert world.live.head.phase == "failed"


# fail


def test_a_failure_is_one_generation_more_and_a_next_time() -> None:
    world = started()
    assert world.fail(JOB, world.granted(JOB).token, delay=5_000) == Retrying(generation=1, delay=5_000)
    assert world.live.head.retrying == 1
    assert world.begin(JOB, generation=1) == NotYet(remaining=5_000)
    world.now += 5_000
    granted = world.granted(JOB, generation=1)
    assert (granted.attempt, granted.failures, granted.last_delay) == (2, 1, 5_000)
    assert world.live.head.retrying == 0


def test_the_last_failure_is_answered_exhausted_and_writes_nothing_without_a_verdict() -> None:
    world = started()
    token = world.granted(JOB).token
    before = world.live.fork()
    answer = world.fail(JOB, token, max_attempts=1)
    assert answer == Exhausted(reason="attempts", attempts=1, error="boom", error_type="ValueError")
    assert world.live == before
    answer = world.fail(JOB, token, max_attempts=1, verdict=verdict(JOB))
    assert isinstance(answer, Dead)
    assert (answer.generation, answer.publish) == (1, True)
    assert world.live.head.stalled == [f"dead:{JOB}"]


def test_a_verdict_given_early_is_not_carried_out_before_the_job_is_exhausted() -> None:
    world = started()
    assert isinstance(world.fail(JOB, world.granted(JOB).token, verdict=verdict(JOB)), Retrying)
    assert not world.live.letters


def test_a_rejection_is_the_end_whatever_attempts_are_left() -> None:
    world = started()
    answer = world.fail(JOB, world.granted(JOB).token, outcome="rejected")
    assert isinstance(answer, Exhausted)
    assert answer.reason == "rejected"


def test_a_failure_whose_next_attempt_would_be_past_the_steps_deadline_is_the_last() -> None:
    world = started()
    token = world.granted(JOB).token
    world.now += 8_000
    assert isinstance(world.fail(JOB, token, delay=1_999, step_timeout=10_000), Retrying)
    world.now += 1_999
    token = world.granted(JOB, generation=1).token
    answer = world.fail(JOB, token, delay=1, step_timeout=10_000)
    assert isinstance(answer, Exhausted)
    assert answer.reason == "deadline"


def test_an_undo_has_attempts_but_no_deadline() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done(OTHER, "order.rejected")
    token = world.granted(JOB, kind="undo").token
    assert world.fail(JOB, token, kind="undo", step_timeout=1, delay=1_000) == Retrying(
        generation=1, delay=1_000
    )
    assert world.live.head.retrying == 0
    world.now += 1_000
    token = world.granted(JOB, kind="undo", generation=1).token
    assert isinstance(world.fail(JOB, token, kind="undo", max_attempts=2), Exhausted)


def test_a_failure_in_a_failing_run_is_only_recorded_and_its_outcome_is_unknown() -> None:
    world = started()
    token = world.granted(JOB, compensation=UNDO).token
    world.done(OTHER, "order.rejected")
    answer = world.fail(JOB, token, max_attempts=1, verdict=verdict(JOB, "compensate"))
    assert isinstance(answer, Recorded)
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    assert not world.live.letters
    assert world.fail(JOB, token, max_attempts=1, verdict=verdict(JOB, "compensate")) == answer


def test_a_resent_failure_of_a_failing_run_is_recorded_although_an_older_copy_is_unmarked() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB, compensation=UNDO).token)
    token = world.granted(JOB, generation=1).token
    world.done(OTHER, "order.rejected")
    answer = world.fail(JOB, token)
    assert isinstance(answer, Recorded)
    assert world.fail(JOB, token) == answer


def test_a_closing_step_of_a_failing_run_is_retried_and_dead_lettered_as_usual() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done(OTHER, "order.rejected")
    ending = event(f"{OTHER}/order.rejected", "order.rejected")
    closing = f"shop.tell:{ending.id}"
    token = world.granted(closing, event=ending).token
    assert isinstance(world.fail(closing, token), Retrying)
    token = world.granted(closing, event=ending, generation=1).token
    assert isinstance(
        world.fail(closing, token, max_attempts=2, verdict=verdict(closing, "compensate")), Dead
    )
    assert world.live.head.stalled == []
    assert world.live.head.phase == "compensating"


# on_exhausted


def test_exhausted_with_compensate_fails_the_run_and_the_letter_is_answered() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    answer = world.kill(OTHER, "compensate")
    assert isinstance(answer, Dead)
    assert answer.letter.answered
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    assert (world.live.head.phase, world.live.head.reason) == ("compensating", "step_dead")
    assert world.live.head.stalled == []


def test_exhausted_with_an_answer_emits_it_once_and_does_not_stall() -> None:
    world = started()
    token = world.granted(OTHER).token
    ruling = verdict(OTHER, "answer", answer=event("answer", "order.answered"), reason="rejected")
    answer = world.fail(OTHER, token, outcome="rejected", verdict=ruling)
    assert isinstance(answer, Dead)
    assert [row.event.name for row in answer.rows] == ["order.answered"]
    assert answer.letter.answered
    assert world.live.head.stalled == []
    kept = world.live
    assert world.fail(OTHER, token, outcome="rejected", verdict=ruling) == answer
    assert world.live is kept


def test_an_answer_that_is_an_ending_event_ends_the_run() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.kill(OTHER, "answer", answer=event("answer", "order.rejected"))
    assert (world.live.head.phase, world.live.head.end_event) == ("compensating", "answer")
    assert world.live.undo == [JOB]


# release


def test_a_released_attempt_is_given_back_and_no_failure_is_counted() -> None:
    world = started()
    token = world.granted(JOB).token
    assert world.release(JOB, token, reason="shutdown") == Released()
    assert world.live.head.leases == 0
    granted = world.granted(JOB)
    assert (granted.attempt, granted.failures) == (1, 0)
    assert world.release(JOB, token) == Released(), (
        "the reply was lost, and somebody else has begun meanwhile"
    )
    assert world.work(JOB).token == granted.token


def test_a_snoozed_job_waits_and_keeps_its_generation() -> None:
    world = started()
    world.release(JOB, world.granted(JOB).token, after=5_000)
    assert world.begin(JOB) == NotYet(remaining=5_000)
    world.now += 5_000
    assert isinstance(world.begin(JOB), Granted)


def test_a_snoozed_job_is_bounded_by_its_steps_deadline() -> None:
    world = started()
    world.release(JOB, world.granted(JOB).token, after=60_000)
    world.now += 60_000
    answer = world.begin(JOB, step_timeout=60_000)
    assert isinstance(answer, Exhausted)
    assert answer.reason == "deadline"


def test_a_release_in_a_failing_run_starts_the_undo_and_a_resent_one_says_the_same() -> None:
    world = started()
    token = world.granted(JOB, compensation=UNDO).token
    world.done(OTHER, "order.rejected")
    answer = world.release(JOB, token)
    assert isinstance(answer, Recorded)
    assert [row.row for row in answer.rows] == [f"undo/{JOB}"]
    assert world.release(JOB, token) == answer


# renew


def test_a_renewed_lease_is_not_taken_by_anybody_else() -> None:
    world = started()
    token = world.granted(JOB).token
    world.now += LEASE - 1
    assert world.renew(JOB, token, progress=0.5, note="half") == Renewed(
        lease_until=world.now + LEASE, stopping=False
    )
    assert (world.row(JOB).progress, world.row(JOB).note) == (0.5, "half")
    world.now += LEASE - 1
    assert not isinstance(world.begin(JOB), Granted)
    world.renew(JOB, token)
    assert (world.row(JOB).progress, world.row(JOB).note) == (0.5, "half")


def test_an_older_generation_is_stale_and_says_whether_the_newer_copy_is_safe() -> None:
    world = started()
    world.fail(JOB, world.granted(JOB).token, delay=5_000)
    world.now += 1_000
    assert world.begin(JOB) == Stale(publish="retry", generation=1, delay=4_000)
    world.mark_copy(JOB, 1)
    assert world.begin(JOB) == Stale(publish="", generation=1, delay=4_000)
