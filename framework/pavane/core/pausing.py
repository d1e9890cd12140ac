"""Pause: no job of a paused run begins; deliveries are held with the run, and released in order when it goes on.

However a pause ends, what was held goes back to its queues and `begin` decides anew: nothing is dropped here.
"""

from __future__ import annotations

from pavane.core.answers import ActionAnswer, Done, Held, HoldAnswer, NotPaused, Refused, UnknownRun
from pavane.core.calls import Hold, Pause, Resume
from pavane.core.kept import HeldJob
from pavane.core.outbox import pending_of, publications, put_job, put_undo
from pavane.core.record import Record

RELEASED_AT_ONCE = 100
"""Held jobs that one call puts into the outbox: a run may hold very many."""

RELEASE_EVERY = 1_000
"""Milliseconds between two such calls, so that the first jobs are published before the next are written."""


def pause(record: Record | None, call: Pause, now: int) -> tuple[Record | None, ActionAnswer]:
    """Let nothing begin any more. Held jobs that were being released stay where they are."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    if record.head.terminal:
        return record, Refused(reason=f"run_{record.head.phase}")
    if record.head.paused_at:
        return record, Done()
    draft = record.fork()
    head = draft.head
    head.paused_at = now
    head.paused_by = call.by
    head.paused_reason = call.reason
    head.release_at = 0
    head.updated_at = now
    draft.remember("paused", now, by=call.by, reason=call.reason)
    return draft, Done()


def hold(record: Record | None, call: Hold, now: int) -> tuple[Record | None, HoldAnswer]:
    """Keep a delivery, once for each job and generation, if the run is still paused."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    row = record.steps.get(call.step)
    nothing_to_undo = call.kind == "undo" and (row is None or row.undo is None)
    if not record.head.paused_at or nothing_to_undo:
        return record, NotPaused()
    id_ = f"{call.kind}/{call.generation}/{call.step}"
    if id_ in record.held:
        return record, Held()
    draft = record.fork()
    if call.event is not None:
        draft.events.setdefault(call.event.id, call.event)
    draft.head.holds += 1
    draft.held[id_] = HeldJob(
        id=id_,
        order=draft.head.holds,
        kind=call.kind,
        worker=call.worker,
        step=call.step,
        event=call.event.id if call.event else "",
        generation=call.generation,
        since=now,
    )
    draft.head.updated_at = now
    return draft, Held()


def resume(record: Record | None, call: Resume, now: int) -> tuple[Record | None, ActionAnswer]:
    """Let jobs begin again; the first of the held ones are in the answer."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    if record.head.terminal:
        return record, Refused(reason=f"run_{record.head.phase}")
    if not record.head.paused_at:
        return record, Done(rows=pending_of(record, ""))
    draft = record.fork()
    end_pause(draft, now, by=call.by, reason=call.reason)
    release_held(draft, now)
    draft.head.updated_at = now
    return draft, Done(rows=publications(draft, draft.fresh))


def end_pause(record: Record, now: int, *, by: str = "", reason: str = "") -> None:
    """Take the mark off, if it is there; held jobs are due now. `reason`: why, or what ended it if nobody did."""
    head = record.head
    if not head.paused_at:
        return
    head.paused_at = 0
    head.paused_by = head.paused_reason = ""
    head.release_at = now if record.held else 0
    record.remember("resumed", now, by=by, reason=reason)


def release_held(record: Record, now: int) -> None:
    """Put the next held jobs into the outbox, if they are due, in the order they came.

    Each has a row of its own: a mark of an earlier one, which may come late, must not take it away. The zeros keep
    the order when the relay publishes them, which goes by id.
    """
    if not 0 < record.head.release_at <= now:
        return
    jobs = sorted(record.held.values(), key=lambda job: job.order)
    for job in jobs[:RELEASED_AT_ONCE]:
        del record.held[job.id]
        row = f"held/{job.order:09}"
        if job.kind == "undo":
            put_undo(record, job.step, job.generation, now, id_=row)
        else:
            put_job(record, job.worker, job.step, job.event, now, generation=job.generation, id_=row)
    record.head.release_at = now + RELEASE_EVERY if record.held else 0
