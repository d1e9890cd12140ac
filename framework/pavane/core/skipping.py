"""Skip: an operator's event is committed instead of a step that cannot go on.

What the step's attempts did is as unknown as before, so its undo, if it has one, is asked about an unknown
outcome. Its place among the commits is that of the skip: what was built on its event is undone first.
"""

from __future__ import annotations

from pavane.core.answers import ActionAnswer, Done, Refused, UnknownRun
from pavane.core.calls import Skip
from pavane.core.ending import unstall
from pavane.core.leasing import lose_lease
from pavane.core.letters import drop_letter, end_by_event, letter_of
from pavane.core.outbox import pending_of, publications, put_event
from pavane.core.record import Record, StepRow


def skip(record: Record | None, call: Skip, now: int) -> tuple[Record | None, ActionAnswer]:
    """Commit the event, close the letter, and let the run go on."""
    if record is None or not record.head.is_run:
        return record, UnknownRun()
    row = record.steps.get(call.step)
    if row is None:
        return record, Refused(reason="unknown_step")
    if row.skipped and row.result == call.event.id:
        return record, Done(rows=pending_of(record, row.step))
    refusal = why_not_skipped(record, row, now)
    if refusal:
        return record, Refused(reason=refusal)
    draft = record.fork()
    row = draft.edit(call.step) or row
    close_step(draft, row, now)
    write_skip(draft, row, call, now)
    end_by_event(draft, call.event.id, now, call.subscribed, row=row)
    draft.head.updated_at = now
    return draft, Done(rows=publications(draft, draft.fresh))


def why_not_skipped(record: Record, row: StepRow, now: int) -> str:
    """The reason why a step must go its own way, or an empty string."""
    head = record.head
    if head.phase not in ("running", "completed") and not row.closing:
        return f"run_{head.phase}"
    if row.state not in ("dead", "retrying", "running"):
        return f"step_{row.state}"
    if row.work.token and row.work.lease_until > now:
        return "step_running"
    letter = letter_of(record, row, "step")
    return "answered" if letter is not None and letter.answered else ""


def close_step(record: Record, row: StepRow, now: int) -> None:
    """Nothing of the step's own is awaited any more: no holder, no retry, no letter, no mark on the run."""
    if row.work.token:
        lose_lease(record, row, row.work, "step", now)
    if row.state == "retrying":
        record.head.retrying -= 1
    letter = letter_of(record, row, "step")
    if letter is not None:
        drop_letter(record, row, letter, now)
    unstall(record, f"discarded:{row.step}", now)
    row.work.generation += 1  # the letter in its queue is over
    row.work.granted = []
    row.work.next_at = 0
    row.work.unpublished = ""
    row.work.done = True


def write_skip(record: Record, row: StepRow, call: Skip, now: int) -> None:
    """The row as a commit would leave it, but for who did it, and its event."""
    record.head.commits += 1
    row.order = record.head.commits
    row.state = "skipped"
    row.skipped = True
    row.ended_at = now
    row.result = call.event.id
    row.emitted.append(call.event.id)
    record.remember(
        "step_skipped", now, row=row, event=call.event.name, cause=row.event, by=call.by, reason=call.reason
    )
    put_event(record, call.event, now, by=row.step)
    record.remember(
        "event_emitted", now, row=row, event=call.event.name, cause=row.event, by=call.by, id=call.event.id
    )
