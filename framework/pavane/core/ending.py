"""Phases and marks of a run: how it ends, and what says that it is stuck.

The phase never moves back and the first ending wins; marks come and go beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pavane.core.outbox import report
from pavane.core.pausing import end_pause
from pavane.core.record import Record

Ending = Literal["completed", "failed", "compensated", "cancelled"]

STEPS_LISTED = 100
"""Steps that the last line of a run names at most."""


def finish(
    record: Record,
    ending: Ending,
    now: int,
    subscribed: tuple[str, ...],
    *,
    cause: str = "",
    left: Sequence[str] | None = None,
) -> None:
    """Enter a terminal phase. Timers and the deadline go in the same call; no mark outlives the run.

    `left`: the steps that would have been undone, if the run was to be left as it is.
    """
    head = record.head
    end_pause(record, now, reason=ending)
    head.phase = ending
    head.ended_at = now
    head.chain = ""
    leave_running(record)
    kept = not_undone(record) if ending != "completed" else []
    if left is not None:
        record.remember(ending, now, reason=head.reason, left=named(left), left_count=str(len(left)))
    elif kept:
        count = str(len(kept))
        record.remember(ending, now, reason=head.reason, not_undone=named(kept), not_undone_count=count)
    else:
        record.remember(ending, now, cause=cause, reason=head.reason)
    report(record, "pavane.run_ended", now, subscribed, status=ending, reason=head.reason)


def not_undone(record: Record) -> list[str]:
    """The steps of a failed run that began and that nobody undoes, in the order they began."""
    rows = [row for row in record.steps.values() if row.first_token and not row.closing and row.undo is None]
    return [row.step for row in sorted(rows, key=lambda row: row.first_token)]


def named(steps: Sequence[str]) -> str:
    """Steps as the detail of a line: the first of them."""
    return " ".join(steps[:STEPS_LISTED])


def leave_running(record: Record) -> None:
    """Drop what only a running run has: timers, the deadline, the reasons it was stalled for."""
    record.timers.clear()
    record.head.deadline_at = 0
    record.head.void_at = 0
    record.head.stalled = []


def watch_idle(record: Record, now: int) -> None:
    """The run has changed; it is looked at again when it may have become idle."""
    head = record.head
    head.updated_at = now
    if head.contract is not None and not head.terminal and not head.idle_at:
        head.idle_at = now + head.contract.idle_after


def stall(record: Record, reason: str, now: int, subscribed: tuple[str, ...]) -> None:
    """Mark the run as stuck for a reason. A reason that is there already changes nothing."""
    head = record.head
    if not head.is_run or head.terminal or reason in head.stalled:
        return
    head.stalled = sorted([*head.stalled, reason])
    record.remember("stalled", now, reason=reason)
    report(record, "pavane.run_stalled", now, subscribed, reason=reason)


def unstall(record: Record, reason: str, now: int) -> None:
    """Take one reason off."""
    head = record.head
    if reason in head.stalled:
        head.stalled = [kept for kept in head.stalled if kept != reason]
        record.remember("unstalled", now, reason=reason)
