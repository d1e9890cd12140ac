"""Edit: a dead letter's job is given another payload, under a new event id that names the old one as its cause.

Another event is another job, so the step that it makes is a row of its own, and the old one stays dead: what its
attempts did is as unknown as before, and an undo is asked about it with the arguments that they had. The new step
passes the old one's idempotency key on, so that an outside which knows it does nothing twice.

A message that never became a job of this record (nobody could validate it) is no step of it: the receiver decides
anew where the edited event belongs. Only the event that began this run stays with it: it would start another one.
"""

from __future__ import annotations

from pavane.core.answers import Edited
from pavane.core.calls import Edit
from pavane.core.identity import step_id
from pavane.core.letters import drop_letter
from pavane.core.outbox import publications, put_job
from pavane.core.record import JOINED, Letter, Record, StepRow


def edit(record: Record | None, call: Edit, now: int) -> tuple[Record | None, Edited]:
    """Close the letter and write the job of the edited event."""
    row = record.steps.get(call.step) if record else None
    if record is None or row is None:
        return record, Edited(outcome="gone")
    step = step_id(row.worker, call.event.id)
    if row.replaced_by == call.event.id:
        return record, Edited(outcome="done", rows=publications(record, [f"job/{step}"]))
    letter = record.letters.get(call.letter)
    if letter is None or letter.step != row.step or letter.generation != call.generation:
        return record, Edited(outcome="gone")
    refusal = why_not_edited(record, row, letter, call)
    if refusal:
        return record, Edited(outcome="refused", reason=refusal)
    draft = record.fork()
    row = draft.edit(call.step) or row
    stays = is_its_own(draft, row, letter)
    if stays:
        add_row(draft, row, call, step, now)
    close_letter(draft, row, letter, call, now)
    draft.events[call.event.id] = call.event
    put_job(draft, row.worker, step, call.event.id, now)
    draft.remember(
        "redriven",
        now,
        row=row,
        by=call.by,
        reason=call.reason,
        edited=call.event.id,
        key="kept" if stays and not call.new_key else "new",
    )
    draft.head.updated_at = now
    return draft, Edited(outcome="done", rows=publications(draft, draft.fresh))


def why_not_edited(record: Record, row: StepRow, letter: Letter, call: Edit) -> str:
    """The reason why a letter stays as it is, or an empty string."""
    phase, event = record.head.phase, record.events.get(row.event)
    if letter.kind == "undo":
        return "undo_letter"  # its arguments come from the record
    if letter.answered:
        return "answered"
    if phase not in ("running", "completed") and not row.closing:
        return f"run_{phase}"
    if row.state != "dead":
        return f"step_{row.state}"
    if event is None:
        return "unreadable"
    if event.name == JOINED:
        return "join_letter"  # so do a join's
    if letter.reason == "unknown_run":
        return "unknown_run"  # no payload changes that
    known = call.event.id in record.events or step_id(row.worker, call.event.id) in record.steps
    return "known_event" if known else ""


def is_its_own(record: Record, row: StepRow, letter: Letter) -> bool:
    """Whether the job belongs to this record, whatever its payload says."""
    began = letter.kind == "step" or row.first_token > 0 or row.replaces != ""
    return began or (record.head.is_run and row.event == record.head.start_event)


def add_row(record: Record, row: StepRow, call: Edit, step: str, now: int) -> None:
    """The row of the new step: the receiver's `begin` looks for it, because any header can be forged."""
    record.steps[step] = StepRow(
        step=step,
        worker=row.worker,
        event=call.event.id,
        state="retrying",
        closing=row.closing,
        started_at=now,
        redrives=row.redrives + 1,
        replaces=row.step,
        key_step="" if call.new_key else row.key_step or row.step,
    )
    record.head.retrying += 1


def close_letter(record: Record, row: StepRow, letter: Letter, call: Edit, now: int) -> None:
    """Nothing revives the old job: its letter is over, wherever its message lies."""
    row.work.generation += 1
    row.work.unpublished = ""
    row.work.granted = []
    row.replaced_by = call.event.id
    drop_letter(record, row, letter, now)
