"""What people decide about a run: to cancel it, to give it up, to give it more time or less.

The first ending wins; a later one is noted in the history, once for each request, and refused.
"""

from __future__ import annotations

from pavane.core.answers import ActionAnswer, Done, Refused, UnknownRun
from pavane.core.calls import Cancel, Compensate, MoveDeadline
from pavane.core.compensation import fail_run
from pavane.core.outbox import pending_of, publications
from pavane.core.pausing import end_pause, release_held
from pavane.core.record import Record

GIVEN_UP = "operator"
"""The reason of a run that an operator has compensated."""


def cancel(record: Record | None, call: Cancel, now: int) -> tuple[Record | None, ActionAnswer]:
    """Fail a running run; without undo it ends as soon as nothing of it runs any more."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    head = record.head
    if head.cancelling and head.leave != call.undo:
        return record, Done(rows=pending_of(record, ""))
    if head.phase != "running":
        return come_too_late(record, call, now)
    draft = record.fork()
    draft.head.cancelling = True
    draft.head.leave = not call.undo
    draft.remember(
        "cancel_requested", now, by=call.by, reason=call.reason, undo="true" if call.undo else "false"
    )
    return give_up(draft, call, "cancelled", now)


def compensate(record: Record | None, call: Compensate, now: int) -> tuple[Record | None, ActionAnswer]:
    """Fail a running run, whatever its marks are: they may go while somebody decides."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    head = record.head
    if head.reason == GIVEN_UP and not head.end_event:  # an event may have that name too
        return record, Done(rows=pending_of(record, ""))
    if head.phase != "running":
        return come_too_late(record, call, now)
    return give_up(record.fork(), call, GIVEN_UP, now)


def give_up(record: Record, call: Cancel | Compensate, reason: str, now: int) -> tuple[Record, ActionAnswer]:
    """End the pause, if there is one, and begin to fail."""
    end_pause(record, now, by=call.by, reason=reason)
    release_held(record, now)
    fail_run(record, reason, now, call.subscribed, by=call.by, why=call.reason)
    record.head.updated_at = now
    return record, Done(rows=publications(record, record.fresh))


def come_too_late(record: Record, call: Cancel | Compensate, now: int) -> tuple[Record, ActionAnswer]:
    """Note that somebody wanted another ending than the one that came first. A resent call adds no second line."""
    refusal = f"run_{record.head.phase}"
    if record.head.asked == call.request:
        return record, Refused(reason=refusal)
    draft = record.fork()
    draft.head.asked = call.request
    asked = "cancel" if isinstance(call, Cancel) else "compensate"
    draft.remember("cancel_requested", now, by=call.by, reason=call.reason, asked=asked, refused=refusal)
    return draft, Refused(reason=refusal)


def move_deadline(record: Record | None, call: MoveDeadline, now: int) -> tuple[Record | None, ActionAnswer]:
    """Set another deadline. One that has passed already is a slip: whoever wants the run to end cancels it."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    head = record.head
    if head.phase != "running":
        return record, Refused(reason=f"run_{head.phase}")
    if head.deadline_at == call.at:
        return record, Done()
    if call.at <= now:
        return record, Refused(reason="in_the_past")
    draft = record.fork()
    draft.remember(
        "deadline_moved",
        now,
        by=call.by,
        reason=call.reason,
        at=str(call.at),
        before=str(head.deadline_at) if head.deadline_at else "",
    )
    draft.head.deadline_at = call.at
    draft.head.updated_at = now
    return draft, Done()
