"""Dead letters: how a job dies, is given another life, or is dropped for good.

The letter itself lies in the worker's dead-letter queue; the record keeps its index entry. Both carry the
generation of the job's row, so a letter that was dealt with elsewhere is recognised.
"""

from __future__ import annotations

from dataclasses import replace

from pavane.core.answers import (
    Committed,
    Dead,
    Discarded,
    Marked,
    PutBack,
    Redriven,
    RejectAnswer,
    Stale,
    UnknownRun,
)
from pavane.core.calls import Discard, Mark, Redrive, Reject, Verdict
from pavane.core.compensation import fail_run, start_chain_when_clear
from pavane.core.ending import finish, stall, unstall
from pavane.core.kept import JOINED
from pavane.core.leasing import lose_lease
from pavane.core.outbox import LONGEST_RETURN, pending_of, publications, put_event, put_off, report
from pavane.core.pausing import end_pause, release_held
from pavane.core.record import Head, JobKind, Letter, OutboxRow, Record, StepRow, Work

FRAMEWORK = "pavane."


def die(
    record: Record,
    row: StepRow,
    work: Work,
    kind: JobKind,
    verdict: Verdict,
    now: int,
    subscribed: tuple[str, ...],
) -> Letter:
    """Dead-letter a job that holds no lease, and carry out what its `on_exhausted` decided."""
    head = record.head
    if row.state == "retrying":
        head.retrying -= 1
    work.generation += 1
    work.unpublished = "letter"
    work.granted = []
    work.next_at = 0
    row.state = "dead" if kind == "step" else "undo_stuck"
    row.ended_at = now
    row.error = verdict.letter.error
    row.error_type = verdict.letter.error_type
    running = head.is_run and head.phase == "running" and not row.closing
    failing = head.is_run and head.phase not in ("running", "completed") and not row.closing
    policy = "stall" if kind == "undo" or failing else verdict.policy
    if policy == "compensate" and not running:
        policy = "stall"
    if verdict.letter.id not in record.letters:
        head.letters += 1
    letter = replace(
        verdict.letter,
        generation=work.generation,
        redrives=row.redrives,
        dead_at=now,
        answered=policy != "stall",
    )
    record.letters[letter.id] = letter
    event = record.events.get(row.event)
    record.remember(
        "step_dead" if kind == "step" else "undo_stuck",
        now,
        row=row,
        attempt=work.grants,
        event=event.name if event else "",
        reason=letter.reason,
        error=letter.error,
    )
    announce(record, row, kind, letter, work, now, subscribed)
    if kind == "undo":
        stall(record, f"undo_stuck:{row.step}", now, subscribed)
    elif policy == "answer" and verdict.answer is not None:
        row.emitted = [*row.emitted, verdict.answer.id]
        put_event(record, verdict.answer, now, by=row.step)
        record.remember("event_emitted", now, row=row, event=verdict.answer.name, cause=row.event)
        end_by_event(record, verdict.answer.id, now, subscribed, row=row)
    elif policy == "compensate":
        fail_run(record, "step_dead", now, subscribed, cause=row.event, row=row.step)
    elif running:
        stall(record, f"dead:{row.step}", now, subscribed)
    return letter


def letter_of(record: Record, row: StepRow, kind: JobKind) -> Letter | None:
    """The letter that is listed for a job, or `None`."""
    for letter in record.letters.values():
        if letter.step == row.step and (letter.kind == "undo") == (kind == "undo"):
            return letter
    return None


def announce(
    record: Record,
    row: StepRow,
    kind: JobKind,
    letter: Letter,
    work: Work,
    now: int,
    subscribed: tuple[str, ...],
) -> None:
    """Report the letter, unless the job's own event is one of pavane's: that would never end. A join's is none."""
    event = record.events.get(row.event)
    if event is not None and event.name.startswith(FRAMEWORK) and event.name != JOINED:
        return
    if kind == "undo":
        report(
            record,
            "pavane.undo_stuck",
            now,
            subscribed,
            by=row.step,
            dead_letter_id=letter.id,
            worker=row.worker,
            error=letter.error,
        )
        return
    report(
        record,
        "pavane.step_dead_lettered",
        now,
        subscribed,
        by=row.step,
        dead_letter_id=letter.id,
        worker=row.worker,
        reason=letter.reason,
        error=letter.error,
        attempts=work.failures,
    )


def end_by_event(
    record: Record, event: str, now: int, subscribed: tuple[str, ...], *, row: StepRow | None
) -> bool:
    """End a running run if its contract names this event; the first ending wins. Says whether it did.

    A closing step changes no phase.
    """
    head = record.head
    if head.contract is None or head.phase != "running" or (row is not None and row.closing):
        return False
    name = record.events[event].name
    if name in head.contract.completes:
        head.reason = name
        head.end_event = event
        finish(record, "completed", now, subscribed, cause=event)
        return True
    if name in head.contract.fails:
        fail_run(record, name, now, subscribed, cause=event, row=row.step if row else "", end_event=event)
        return True
    return False


def reject(record: Record | None, call: Reject, now: int) -> tuple[Record | None, RejectAnswer]:
    """Dead-letter without a lease: a message that cannot become a job, or one the broker gave up on."""
    if record is None and not call.own_record:
        return None, UnknownRun()
    draft = record.fork() if record else Record(head=Head(key=call.record, started_at=now))
    row = draft.edit(call.step)
    if row is None:
        event_id = call.event.id if call.event else ""
        row = StepRow(step=call.step, worker=call.worker, event=event_id, started_at=now)
        draft.steps[call.step] = row
    work = row.of(call.kind)
    if work is None or work.done:
        return record, Committed(rows=pending_of(draft, row.step))
    listed = letter_of(draft, row, call.kind)
    if listed is not None:
        publish = work.unpublished == "letter" or call.generation >= work.generation
        return record, Dead(letter=listed, generation=work.generation, publish=publish)
    over = ("dead", "undoing", "undone", "undo_stuck", "refused") if call.kind == "step" else ("undo_stuck",)
    if row.state in over:
        return record, Committed(rows=pending_of(draft, row.step))
    if call.generation < work.generation:
        delay = max(0, work.next_at - now)
        return record, Stale(publish=work.unpublished, generation=work.generation, delay=delay)
    if work.token and work.lease_until > now:
        return record, PutBack(delay=work.lease_until - now)
    if call.delivery_limit and work.grants == 0 and not work.put_back:
        work.put_back = True
        if call.kind == "step" and row.state != "retrying":
            row.state = "retrying"
            draft.head.retrying += 1
        draft.head.updated_at = now
        return draft, PutBack(delay=0)
    if call.event is not None:
        draft.events.setdefault(call.event.id, call.event)
    if work.token:
        lose_lease(draft, row, work, call.kind, now)
    letter = die(draft, row, work, call.kind, call.verdict, now, call.subscribed)
    start_chain_when_clear(draft, now, call.subscribed, by=row.step)
    draft.head.updated_at = now
    return draft, Dead(
        letter=letter, generation=work.generation, publish=True, rows=publications(draft, draft.fresh)
    )


def redrive(record: Record | None, call: Redrive, now: int) -> tuple[Record | None, Redriven]:
    """Give a dead job another life: a new generation with all its attempts before it."""
    row = record.steps.get(call.step) if record else None
    work = row.of(call.kind) if row else None
    if record is None or row is None or work is None:
        return record, Redriven(outcome="gone")
    if work.generation > call.generation:
        again = work.generation == call.generation + 1 and work.unpublished == "retry"
        return record, Redriven(outcome="again" if again else "gone", generation=work.generation)
    letter = record.letters.get(call.letter)
    if letter is None:
        return record, Redriven(outcome="gone")
    refusal = why_not_redriven(record, row, call, letter)
    if refusal:
        return record, Redriven(outcome="refused", reason=refusal)
    draft = record.fork()
    row = draft.edit(call.step) or row
    work = row.of(call.kind) or work
    revive(draft, row, work, call.kind, now)
    row.redrives += 1
    row.redrive_pass = call.pass_id
    drop_letter(draft, row, letter, now)
    draft.remember("redriven", now, row=row, by=call.by, reason=call.reason)
    draft.head.updated_at = now
    return draft, Redriven(outcome="publish", generation=work.generation)


def why_not_redriven(record: Record, row: StepRow, call: Redrive, letter: Letter) -> str:
    """The reason a letter's job may not live again, or an empty string."""
    head = record.head
    if letter.answered and not call.force:
        return "answered"
    if call.kind == "undo":
        return "" if head.phase == "compensating" else f"run_{head.phase}"
    if head.phase in ("running", "completed") or row.closing:
        return ""
    return f"run_{head.phase}"


def revive(record: Record, row: StepRow, work: Work, kind: JobKind, now: int) -> None:
    """A new life has all its attempts and, for the step's own time limit, all its time before it."""
    work.generation += 1
    work.unpublished = "retry"
    work.failures = 0
    work.delay = 0
    work.next_at = 0
    work.granted = []
    work.put_back = False
    if kind == "step":
        row.state = "retrying"
        row.started_at = now
        row.ended_at = 0
        record.head.retrying += 1
    else:
        row.state = "undoing"


def drop_letter(record: Record, row: StepRow, letter: Letter, now: int) -> None:
    """Take a letter off the index, and the mark that it put on the run."""
    del record.letters[letter.id]
    record.head.letters -= 1
    unstall(record, f"dead:{row.step}", now)
    unstall(record, f"undo_stuck:{row.step}", now)


def discard(record: Record | None, call: Discard, now: int) -> tuple[Record | None, Discarded]:
    """Drop a letter. A live run that waits for it needs a decision, so that it never hangs in silence."""
    letter = record.letters.get(call.letter) if record else None
    row = record.steps.get(call.step) if record else None
    work = row.of(call.kind) if row else None
    if work is not None and work.generation == call.generation + 1 and work.unpublished == "retry":
        return record, Discarded(
            outcome="refused", reason="redriven"
        )  # this letter may be the only message left
    if record is None or letter is None or row is None or work is None or work.generation != call.generation:
        return record, Discarded(outcome="gone")
    waits = record.head.is_run and not record.head.terminal and not letter.answered and not row.closing
    if waits and not call.then:
        return record, Discarded(outcome="refused", reason="run_is_live")
    if call.then == "compensate" and waits and (call.kind == "undo" or record.head.phase != "running"):
        return record, Discarded(outcome="refused", reason=f"run_{record.head.phase}")
    draft = record.fork()
    row = draft.edit(call.step) or row
    work = row.of(call.kind) or work
    work.unpublished = ""
    drop_letter(draft, row, letter, now)
    draft.remember("step_dead", now, row=row, by=call.by, reason="discarded", why=call.reason)
    if waits and call.then == "leave":
        stall(draft, f"discarded:{row.step}", now, call.subscribed)
    elif waits:
        end_pause(draft, now, by=call.by, reason="step_dead")
        release_held(draft, now)
        fail_run(draft, "step_dead", now, call.subscribed, by=call.by, cause=row.event, row=row.step)
    draft.head.updated_at = now
    return draft, Discarded(outcome="done", rows=publications(draft, draft.fresh))


def mark(record: Record | None, call: Mark, now: int) -> tuple[Record | None, Marked]:
    """Note what was published. A mark names its generation and is ignored once the row has moved on."""
    if record is None:
        return None, Marked()
    draft = record.fork()
    for row_id in call.rows:
        gone = draft.outbox.pop(row_id, None)
        if gone is None:
            continue
        unstall(draft, nowhere_to_go(draft, gone), now)
        if gone.kind == "event" and row_id in call.unrouted:
            draft.remember("unrouted", now, event=draft.events[row_id].name, cause=row_id)
    for row_id in call.returned:
        back = draft.outbox.get(row_id)
        if back is not None:
            put_off(draft, back, now, longest=LONGEST_RETURN)
            stall(draft, nowhere_to_go(draft, back), now, call.subscribed)
    for copy in call.copies:
        row = draft.edit(copy.step)
        work = row.of(copy.kind) if row else None
        if work is not None and work.generation == copy.generation:
            work.unpublished = ""
    return draft, Marked()


def nowhere_to_go(record: Record, row: OutboxRow) -> str:
    """The reason of a run whose message came back: an event without a binding, a job or undo without a queue."""
    if row.kind == "event":
        return f"unroutable:{record.events[row.id].name}"
    return f"no_queue:{row.worker if row.kind == 'job' else record.steps[row.step].worker}"
