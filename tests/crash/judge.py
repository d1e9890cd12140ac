"""What has to be found after a process died with a job in its hands and another took over."""

from __future__ import annotations

import signal

from tests.crash.takeover import Played


def judge(played: Played) -> None:
    """Raises:
    AssertionError: something shows of the death, or is left of it.
    """
    died_where_it_should(played)
    committed_once(played)
    only_real_failures_count(played)
    the_next_job_came_once(played)
    one_letter_if_any(played)
    nothing_is_left(played)


def died_where_it_should(played: Played) -> None:
    """The record, the queues and the ledger say which point the process had just passed."""
    case, left = played.case, played.left
    assert left.exit == -signal.SIGKILL
    if case.state:
        assert left.row is not None
        assert left.row.state == case.state
    else:
        assert left.row is None
    worker = "undo:line.second" if case.kind == "undo" else "line.second"
    starts = [entry for entry in left.ledger if entry.worker == worker and entry.what == "start"]
    ends = [entry for entry in left.ledger if entry.worker == worker and entry.what == "end"]
    attempts_made = max(case.failures, int(case.begins))
    assert (len(starts), len(ends)) == (attempts_made, case.ran)
    if left.work is not None:
        holds_lease = case.point in ("begin", "handler")
        assert bool(left.work.token) == holds_lease
        assert left.work.unpublished == case.unpublished
        assert left.work.failures == case.failures
    assert left.letters == case.letters
    follows = [
        row for row in left.outbox if row == f"undo/line.first:{played.row.event}" or is_of(played, row)
    ]
    if case.published is not None:
        assert bool(follows) == case.pending, left.outbox


def is_of(played: Played, outbox_row: str) -> bool:
    """Whether a row of the outbox was written by the step that was hit, or (undo) is the next undo's."""
    if played.case.kind == "undo":
        return outbox_row.startswith("undo/line.first:")
    return outbox_row in played.row.emitted


def committed_once(played: Played) -> None:
    """However often it ran: one commit, and one key for the world outside."""
    case = played.case
    worker = "undo:line.second" if case.kind == "undo" else "line.second"
    starts = [entry for entry in played.ledger if entry.worker == worker and entry.what == "start"]
    before = [entry for entry in played.left.ledger if entry.worker == worker and entry.what == "start"]
    assert len(starts) - len(before) == case.again
    assert len({entry.key for entry in starts}) == 1
    tokens = [entry.token for entry in starts]
    assert tokens == sorted(set(tokens)), "fencing tokens grow"
    assert played.outcomes.count("committed") == 1
    assert played.work.done
    assert played.work.granted == []


def only_real_failures_count(played: Played) -> None:
    """Attempts are what DESIGN says: a crash shows as lost, and spends none of `max_attempts`."""
    assert played.outcomes == list(played.case.outcomes)
    failures = 0 if played.case.redriven else played.case.failures
    assert played.work.failures == failures
    expected = "compensated" if played.case.kind == "undo" else "completed"
    assert played.status.status == expected


def the_next_job_came_once(played: Played) -> None:
    """The event, or the wake-up of the next undo, has the id it had before the crash and is applied once."""
    assert len(played.next_events) == 1
    if played.case.kind == "step":
        assert played.next_events == played.row.emitted == [played.row.result]
    told = [entry for entry in played.ledger if entry.worker == "line.told" and entry.what == "start"]
    assert len(told) == 1


def one_letter_if_any(played: Played) -> None:
    assert (played.indexed, played.letters_in_queue) == (min(played.case.redriven, 1), played.case.redriven)


def nothing_is_left(played: Played) -> None:
    assert played.full_queues == {}
    assert played.letters_left == 0
