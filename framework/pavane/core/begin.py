"""Begin: who may run a job now, and what becomes of a delivery that may not run.

The row comes before the phase: committed, dead, stale and leased are answered in every phase; whether a run
that is over still grants is asked only of a job that could be granted. `core.step` says how all transitions
are written.
"""

from __future__ import annotations

from pavane.core.answers import (
    BeginAnswer,
    Committed,
    Dead,
    Exhausted,
    Granted,
    Isolate,
    Leased,
    NotYet,
    Paused,
    Recorded,
    Refused,
    Stale,
    UnknownRun,
)
from pavane.core.calls import Begin
from pavane.core.ending import unstall, watch_idle
from pavane.core.joining import arrive, is_arrival, joined_events, pending_of_join, why_not_joined
from pavane.core.leasing import crashes, grant, lose_lease, report_ended
from pavane.core.letters import die, letter_of
from pavane.core.outbox import pending_of, publications
from pavane.core.record import Head, Letter, Record, StepRow, Work
from pavane.core.run import new_run

CRASHES_BEFORE_ISOLATION = 2
CRASHES_BEFORE_DEATH = 3

NO_JOB = ("second_start", "not_in_run", "join_open", "not_edited")
"""Refusals of what is no job of this record, or none yet: a row would refuse the job itself when it comes."""


def begin(record: Record | None, call: Begin, now: int) -> tuple[Record | None, BeginAnswer]:
    """Ask for a job's lease. Grants it, or says what to do with the delivery instead."""
    draft = open_record(record, call, now)
    if draft is None:
        return record, UnknownRun()
    row = draft.edit(call.step)
    work = row.of(call.kind) if row else None
    if call.kind == "undo" and work is None:
        return record, Refused(reason="no_undo")
    resent = work is not None and work.begin_id == call.begin_id  # what it reports was written the first time
    reported = work is not None and not resent and report_ended(work, call.ended)
    unchanged = draft if reported else record
    if row is not None and work is not None:
        settled = answer_from_row(draft, row, work, call, now)
        if settled is not None:
            return unchanged, settled
    refusal = why_refused(draft, row, call)
    if refusal:
        return refuse(draft, row, call, refusal, now), Refused(reason=refusal)
    if draft.head.paused_at:
        return unchanged, Paused(since=draft.head.paused_at)
    if call.join is not None and is_arrival(call):
        if row is not None and row.work.token:  # begun before its worker joined events; that holder is fenced
            lose_lease(draft, row, row.work, "step", now)
        changed = arrive(draft, row, call, call.join, now)
        if changed:
            move_on(draft, now)
        return (draft if changed else record), Recorded(rows=pending_of_join(draft, call.worker))
    if row is None or work is None:
        row = new_row(draft, call, now)
        work = row.work
    elif row.first_token == 0:
        take_in(draft, row, call)
    if crashes(work) == CRASHES_BEFORE_ISOLATION and not call.alone:
        return unchanged, Isolate()
    exhausted = why_exhausted(row, work, call, now)
    if exhausted is not None:
        if call.verdict is None:
            return unchanged, exhausted
        return begin_dead(draft, row, work, call, now)
    return begin_granted(draft, row, work, call, now)


def open_record(record: Record | None, call: Begin, now: int) -> Record | None:
    """A fork to write on; a new record for a starting event or an event outside workflows; `None`: unknown run."""
    if record is not None:
        return record.fork()
    if call.edited:
        return None
    if call.contract is not None and call.event is not None:
        draft = new_run(call.record, call.run_id, call.contract, call.event, call.digest, now)
        draft.remember("run_started", now, event=call.event.name, cause=call.event.id)
        return draft
    if call.record.startswith("~") and call.event is not None:
        return Record(head=Head(key=call.record, started_at=now, updated_at=now))
    return None


def answer_from_row(record: Record, row: StepRow, work: Work, call: Begin, now: int) -> BeginAnswer | None:
    """What the row alone decides; `None`: the job could be granted."""
    if work.token and work.begin_id == call.begin_id:
        return granted(record, row, work, call, now)
    if work.done:
        return Committed(rows=pending_of(record, row.step))
    letter = letter_of(record, row, call.kind)
    if letter is not None:
        return answer_dead(work, call, letter)
    if row.state == ("dead" if call.kind == "step" else "undo_stuck"):
        return Refused(reason="discarded")
    if call.kind == "step" and row.state in ("refused", "undoing", "undone", "undo_stuck"):
        return Refused(reason=f"run_{record.head.phase}")
    if call.generation < work.generation:
        return Stale(publish=work.unpublished, generation=work.generation, delay=max(0, work.next_at - now))
    if work.token and work.lease_until > now:
        return Leased(remaining=work.lease_until - now)
    if work.next_at > now:
        return NotYet(remaining=work.next_at - now)
    return None


def answer_dead(work: Work, call: Begin, letter: Letter) -> Dead:
    """A dead job's delivery is dropped; its letter is published if no mark says that it is safe.

    A delivery of the letter's own generation was moved here out of the dead-letter queue by hand: its
    letter goes back there. That holds as long as the letter is listed, also while the step is undone.
    """
    publish = work.unpublished == "letter" or call.generation >= work.generation
    return Dead(letter=letter, generation=work.generation, publish=publish)


def why_refused(record: Record, row: StepRow | None, call: Begin) -> str:
    """Why the run does not take this job (a code), or an empty string."""
    head = record.head
    if call.edited and (row is None or not row.replaces):
        return "not_edited"
    if not head.is_run:
        return "not_in_run" if call.join is not None else ""
    if call.contract is not None and call.event is not None and call.event.id != head.start_event:
        return "second_start"
    if call.join is not None and call.kind == "step":
        return why_not_joined(record, call)
    if call.kind == "undo":
        return "" if head.phase == "compensating" else f"run_{head.phase}"
    if head.phase in ("running", "completed"):
        return ""
    return "" if is_closing(record, row, call) else f"run_{head.phase}"


def is_closing(record: Record, row: StepRow | None, call: Begin) -> bool:
    """Whether a job belongs to the run's closing branch. Decided once, then kept in the row.

    The event ended the run, is one of pavane's own, or was emitted by a closing step whose row lists it:
    the header that names the cause counts for nothing by itself. An edited letter's job is as closing as the old one.
    """
    if row is not None and (row.first_token or row.replaces):
        return row.closing
    head = record.head
    if call.framework:
        return True
    if call.event is None or head.phase == "running":
        return False
    if call.event.id == head.end_event:
        return True
    cause = record.steps.get(call.cause)
    return cause is not None and cause.closing and call.event.id in cause.emitted


def refuse(record: Record, row: StepRow | None, call: Begin, reason: str, now: int) -> Record:
    """Note that a job came too late. Its row, if it has one, is refused for good; what is no job has none."""
    if call.kind == "undo" or reason in NO_JOB:
        if call.kind == "step":
            record.remember(
                "step_refused",
                now,
                event=call.event.name if call.event else "",
                cause=call.event.id if call.event else "",
                reason=reason,
            )
        return record
    if row is None:
        row = new_row(record, call, now)
    elif row.state == "retrying":
        record.head.retrying -= 1
    row.state = "refused"
    record.remember("step_refused", now, row=row, cause=row.event, reason=reason)
    return record


def new_row(record: Record, call: Begin, now: int) -> StepRow:
    """The row of a job's first begin."""
    row = StepRow(step=call.step, worker=call.worker, event="", started_at=now)
    record.steps[call.step] = row
    take_in(record, row, call)
    return row


def take_in(record: Record, row: StepRow, call: Begin) -> None:
    """Keep what the job is begun with, so that no header of a later copy is asked.

    The row may be older than the first begin: the broker gave the message up before, or it was rejected.
    """
    row.closing = is_closing(record, row, call) and record.head.is_run
    row.compensation = call.compensation
    if call.event is not None:
        row.event = call.event.id
        record.events.setdefault(call.event.id, call.event)


def why_exhausted(row: StepRow, work: Work, call: Begin, now: int) -> Exhausted | None:
    """Whether the job may not be tried again: its holders keep dying, its time is over, its attempts are spent."""
    if crashes(work) >= CRASHES_BEFORE_DEATH:
        return Exhausted(
            reason="crash_loop",
            attempts=work.grants,
            error=f"{crashes(work)} processes ended while running this job",
            error_type="CrashLoop",
        )
    if (
        call.kind == "step"
        and call.step_timeout
        and row.first_token
        and now >= row.started_at + call.step_timeout
    ):
        return Exhausted(
            reason="deadline",
            attempts=work.failures,
            error=row.error or "the time for all attempts of this step is over",
            error_type=row.error_type or "StepDeadline",
        )
    return None


def begin_dead(record: Record, row: StepRow, work: Work, call: Begin, now: int) -> tuple[Record, BeginAnswer]:
    """Exhausted, with a verdict: dead-letter the job in this very call."""
    if call.verdict is None:
        raise ValueError("begin_dead needs a verdict")
    if work.token:
        lose_lease(record, row, work, call.kind, now)
    letter = die(record, row, work, call.kind, call.verdict, now, call.subscribed)
    record.head.updated_at = now
    rows = publications(record, record.fresh)
    return record, Dead(letter=letter, generation=work.generation, publish=True, rows=rows)


def begin_granted(
    record: Record, row: StepRow, work: Work, call: Begin, now: int
) -> tuple[Record, BeginAnswer]:
    """Grant: count the attempt, set the lease, and take the idle mark off.

    A closing step moves nothing on: were it to take the mark off, telling people that a run is idle would end it.
    """
    grant(record, row, work, call.kind, now, begin_id=call.begin_id, lease=call.lease, host=call.host)
    row.state = "running" if call.kind == "step" else "undoing"
    record.remember(
        "step_started" if call.kind == "step" else "undo_started",
        now,
        row=row,
        attempt=work.grants,
        cause=row.event,
    )
    if not row.closing:
        unstall(record, "idle", now)
    watch_idle(record, now)
    return record, granted(record, row, work, call, now)


def move_on(record: Record, now: int) -> None:
    """What an arrival does to the idle mark: the same as a grant."""
    unstall(record, "idle", now)
    watch_idle(record, now)


def granted(record: Record, row: StepRow, work: Work, call: Begin, now: int) -> Granted:
    undo = call.kind == "undo"
    return Granted(
        token=work.token,
        attempt=work.grants,
        failures=work.failures,
        last_delay=work.delay,
        lease_until=work.lease_until,
        step_started_at=row.started_at,
        now=now,
        data=tuple(sorted(record.data.items())),
        event=record.events[row.event] if undo else None,
        result=record.events[row.result] if undo and row.result and row.known else None,
        joined=joined_events(record, row),
        unknown=undo and not row.known,
        reason=record.head.reason if undo else "",
        key_step=row.key_step,
    )
