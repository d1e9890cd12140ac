"""How runs come to be, and how events from outside reach them."""

from __future__ import annotations

from pavane.core.answers import EmitAnswer, Emitted, Refused, Started, UnknownRun
from pavane.core.calls import Emit, Start
from pavane.core.letters import end_by_event
from pavane.core.outbox import publications, put_event
from pavane.core.record import Contract, EventRow, Head, Record


def new_run(key: str, run_id: str, contract: Contract, event: EventRow, digest: str, now: int) -> Record:
    """An empty running run, judged by `contract` for its whole life. The starting event is kept, not published."""
    head = Head(
        key=key,
        workflow=contract.workflow,
        run_id=run_id,
        contract=contract,
        start_event=event.id,
        start_digest=digest,
        started_at=now,
        updated_at=now,
        deadline_at=now + contract.deadline if contract.deadline else 0,
        idle_at=now + contract.idle_after,
    )
    record = Record(head=head, events={event.id: event})
    return record


def start(record: Record | None, call: Start, now: int) -> tuple[Record, Started]:
    """Begin a run, or attach to the one that has this id, ended or not; its first payload stays."""
    if record is None:
        record = new_run(call.record, call.run_id, call.contract, call.event, call.digest, now)
        record.remember("run_started", now, event=call.event.name, cause=call.event.id, by=call.by)
        put_event(record, call.event, now)
        return record, Started(
            created=True, conflict=False, event_id=call.event.id, rows=publications(record, record.fresh)
        )
    head = record.head
    waiting = publications(record, [head.start_event])
    if call.event.id == head.start_event:
        return record, Started(created=True, conflict=False, event_id=head.start_event, rows=waiting)
    conflict = call.digest != head.start_digest
    draft = record.fork()
    draft.remember(
        "conflict" if conflict else "start_repeated",
        now,
        event=call.event.name,
        cause=call.event.id,
        by=call.by,
    )
    return draft, Started(created=False, conflict=conflict, event_id=head.start_event, rows=waiting)


def emit(record: Record | None, call: Emit, now: int) -> tuple[Record | None, EmitAnswer]:
    """Bring an outside event into a running run; an ending event ends it, as if a step had emitted it."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    if call.event.id in record.events:
        return record, Emitted(rows=publications(record, [call.event.id]))
    if record.head.phase != "running":
        return record, Refused(reason=f"run_{record.head.phase}")
    draft = record.fork()
    put_event(draft, call.event, now)
    draft.remember("event_emitted", now, event=call.event.name, cause=call.event.id, by=call.by)
    end_by_event(draft, call.event.id, now, call.subscribed, row=None)
    draft.head.updated_at = now
    return draft, Emitted(rows=publications(draft, draft.fresh))
