"""Undo: a failing run waits until none of its steps holds a lease, then undoes one step after the other.

Whichever call ends the last lease starts the chain, and each undo's commit writes the next one (of a parallel
chain: those that waited for it alone), so no central process drives it. The set is exact because nothing but
closing steps may begin by then: every step that committed a result its undo takes, and every step that began
and never committed (`uncertain`).
"""

from __future__ import annotations

from pavane.core import branches
from pavane.core.answers import Committed, Fenced
from pavane.core.calls import CommitUndo
from pavane.core.ending import finish, leave_running, watch_idle
from pavane.core.joining import drop_open
from pavane.core.leasing import end_lease, latest_lease
from pavane.core.outbox import pending_of, publications, put_undo
from pavane.core.record import Record, StepRow, Work


def fail_run(
    record: Record,
    reason: str,
    now: int,
    subscribed: tuple[str, ...],
    *,
    by: str = "",
    why: str = "",
    cause: str = "",
    row: str = "",
    end_event: str = "",
) -> None:
    """Begin to fail: from now on only closing steps and undos are granted a lease.

    Args:
        reason: the ending event's name, `deadline`, `step_dead`, `cancelled`, ...
        by, why: the actor, if a person asked for it, and the reason that was given.
        cause: id of the event that led to it.
        row: the step whose call does it.
        end_event: id of the failing event; its subscribers are closing steps.
    """
    head = record.head
    head.phase = "compensating"
    head.reason = reason
    head.end_event = end_event
    leave_running(record)
    watch_idle(record, now)
    drop_open(record)
    head.chain = "waiting"
    head.void_at = latest_lease(record)
    if why:
        record.remember("compensation_started", now, cause=cause, by=by, reason=reason, why=why)
    else:
        record.remember("compensation_started", now, cause=cause, by=by, reason=reason)
    start_chain_when_clear(record, now, subscribed, by=row)


def start_chain_when_clear(record: Record, now: int, subscribed: tuple[str, ...], *, by: str = "") -> None:
    """Start undoing if the run is failing and its last lease has just ended; a cancel may want it left as it is."""
    head = record.head
    if head.chain != "waiting" or head.leases > 0:
        return
    head.chain = "running"
    head.void_at = 0
    settle_without_undo(record)
    order = undo_order(record)
    if head.leave:
        finish(record, "cancelled", now, subscribed, left=order)
        return
    if not order:
        finish(record, "cancelled" if head.cancelling else "failed", now, subscribed)
        return
    record.undo = order
    if not is_parallel(record):
        wake_undo(record, order[0], now, by=by)
        return
    branches.tie(record)
    for step in order:
        if record.steps[step].awaits == 0:
            wake_undo(record, step, now, by=by)


def settle_without_undo(record: Record) -> None:
    """Steps that began, will not go on and have no undo are refused from here on."""
    for step in sorted(record.steps):
        row = record.steps[step]
        if row.state in ("running", "retrying") and not row.closing:
            row = record.edit(step) or row
            if row.state == "retrying":
                record.head.retrying -= 1
            row.state = "refused"


def undo_order(record: Record) -> list[str]:
    """Steps to undo: unknown outcomes first, latest begun first; then the committed, latest commit first.

    A skipped step has the place of its skip, although its outcome is unknown: others were built on its event.
    """
    due = [row for row in record.steps.values() if needs_undo(record, row)]
    due.sort(key=lambda row: (row.committed, -row.order, -row.first_token))
    return [row.step for row in due]


def needs_undo(record: Record, row: StepRow) -> bool:
    """Whether P5 names this step: it began, has an undo that takes what it did, and did not fail the run itself."""
    if row.compensation is None or row.closing or row.failed_run or row.first_token == 0:
        return False
    if not row.known:
        return row.compensation.uncertain
    admits = row.compensation.admits
    name = record.events[row.result].name if row.result else ""
    return admits is None or name in admits


def is_parallel(record: Record) -> bool:
    return record.head.contract is not None and record.head.contract.undo == "parallel"


def next_undos(record: Record, done: StepRow, now: int) -> None:
    """Wake what waited for this undo alone: the next step of the chain, or the causes of this one."""
    if not is_parallel(record):
        wake_undo(record, record.undo[0], now, by=done.step)
        return
    for step in done.holds_up:
        row = record.edit(step)
        if row is not None:
            row.awaits -= 1
            if row.awaits == 0:
                wake_undo(record, step, now, by=done.step)


def wake_undo(record: Record, step: str, now: int, *, by: str = "") -> None:
    """Write the wake-up of a step's undo."""
    row = record.edit(step)
    if row is not None:
        row.undo = Work()
        row.state = "undoing"
        put_undo(record, row.step, 0, now, by=by)


def commit_undo(
    record: Record | None, call: CommitUndo, now: int
) -> tuple[Record | None, Committed | Fenced]:
    """End one undo and write what waited for it; the last one ends the run."""
    row = record.steps.get(call.step) if record else None
    work = row.undo if row else None
    if record is None or row is None or work is None:
        return record, Fenced()
    if work.done and work.ended_token == call.token:
        return record, Committed(rows=pending_of(record, row.step))
    if work.token != call.token or work.done:
        return record, Fenced()
    draft = record.fork()
    head = draft.head
    row = draft.edit(call.step)
    if row is None or row.undo is None:
        return record, Fenced()
    end_lease(draft, row, row.undo, "undo", now, outcome="committed")
    row.undo.done = True
    row.state = "undone"
    draft.remember("undo_done", now, row=row, attempt=row.undo.grants)
    draft.undo = [step for step in draft.undo if step != row.step]
    if draft.undo:
        next_undos(draft, row, now)
    else:
        finish(draft, "cancelled" if head.cancelling else "compensated", now, call.subscribed)
    head.updated_at = now
    ended = head.phase if head.terminal else ""
    return draft, Committed(rows=publications(draft, draft.fresh), run_ended=ended)
