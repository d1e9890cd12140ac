"""Filing a letter that lies in its queue and that the record does not list: Redis was lost, or restored from a backup.

The letter's message says which job it is and at which generation that died. A record that has got further knows
better: the letter was redriven, edited or discarded, and does not come back.
"""

from __future__ import annotations

from pavane.core.answers import Filed, UnknownRun
from pavane.core.calls import File, Verdict
from pavane.core.compensation import start_chain_when_clear
from pavane.core.leasing import lose_lease
from pavane.core.letters import die, letter_of
from pavane.core.outbox import publications
from pavane.core.record import Head, Record, StepRow, Work


def file(record: Record | None, call: File, now: int) -> tuple[Record | None, Filed | UnknownRun]:
    """List a letter at its own generation; what led to its death beside that is lost."""
    if record is None and not call.own_record:
        return None, UnknownRun()
    draft = record.fork() if record else Record(head=Head(key=call.record, started_at=now))
    row = draft.edit(call.step)
    if row is None:
        event_id = call.event.id if call.event else ""
        row = StepRow(step=call.step, worker=call.worker, event=event_id, started_at=now)
        draft.steps[call.step] = row
    work = row.of(call.kind)
    if work is None:
        return record, Filed(outcome="refused", reason="no_undo")
    if letter_of(draft, row, call.kind) is not None:
        return record, Filed(outcome="known")
    if work.done or work.generation >= call.generation:
        return record, Filed(outcome="gone")
    refusal = why_not_filed(row, work, call, now)
    if refusal:
        return record, Filed(outcome="refused", reason=refusal)
    if call.event is not None:
        draft.events.setdefault(call.event.id, call.event)
    if work.token:
        lose_lease(draft, row, work, call.kind, now)
    work.generation = call.generation - 1  # dying adds one
    die(draft, row, work, call.kind, Verdict(letter=call.letter), now, call.subscribed)
    work.unpublished = ""  # its message is where it belongs
    draft.remember("adopted", now, row=row, by=call.by, reason=call.reason)
    start_chain_when_clear(draft, now, call.subscribed, by=row.step)
    draft.head.updated_at = now
    return draft, Filed(outcome="done", rows=publications(draft, draft.fresh))


def why_not_filed(row: StepRow, work: Work, call: File, now: int) -> str:
    """The reason why a job is not dead, whatever its letter says, or an empty string."""
    if work.token and work.lease_until > now:
        return f"{call.kind}_running"
    if call.kind == "step" and row.state in ("skipped", "refused", "undoing", "undone", "undo_stuck"):
        return f"step_{row.state}"
    return ""
