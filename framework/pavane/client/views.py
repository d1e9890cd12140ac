"""What a reader sees of a record: pure functions from `core.record` to `model.views`.

Milliseconds become aware datetimes and seconds, empty strings and zeros become `None`, payloads become plain
JSON values. A payload that is no JSON (of a message that nobody could read) is shown as `None`: its bytes are
in the letter's `raw`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, cast

from pavane.core import agenda
from pavane.core.record import Attempt as AttemptRow
from pavane.core.record import EventRow, History, Letter, Record, StepRow, Work
from pavane.errors import Undecodable
from pavane.model import wire
from pavane.model.views import (
    Attempt,
    DeadLetter,
    EventRecord,
    HistoryEntry,
    Outcome,
    RunStatus,
    Status,
    Step,
    StepStatus,
    UndoInfo,
    UndoStatus,
    Waiting,
)


def moment(at: int) -> datetime | None:
    """As `exactly`; 0, which stands for never, as `None`."""
    return exactly(at) if at else None


def exactly(at: int) -> datetime:
    """Milliseconds since the epoch as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)


def json_value(body: bytes) -> Any:
    """A payload as plain values; `None` if it is no JSON."""
    try:
        return wire.parse(body)
    except Undecodable:
        return None


# a run


def run_status(record: Record) -> RunStatus:
    """The run at this moment."""
    head = record.head
    ending = record.events.get(head.end_event)
    return RunStatus(
        run=head.key,
        workflow=head.workflow,
        run_id=head.run_id,
        status=cast(Status, agenda.status_of(record)),
        phase=head.phase,
        paused=head.paused_at > 0,
        stalled=list(head.stalled),
        reason=head.reason or None,
        data={key: json_value(value) for key, value in sorted(record.data.items())},
        result=event_record(ending) if ending else None,
        started_at=exactly(head.started_at),
        updated_at=exactly(head.updated_at),
        ended_at=moment(head.ended_at),
        deadline_at=moment(head.deadline_at),
        steps=dict(sorted(Counter(row.state for row in record.steps.values()).items())),
        waiting_for=waiting_for(record),
    )


def waiting_for(record: Record) -> list[Waiting]:
    """What stands between a live run and its end: timers, joins, held jobs, retries, dead letters, stuck undos."""
    if record.head.terminal:
        return []
    held = {(job.kind, job.step) for job in record.held.values()}
    timers = [
        Waiting(kind="timer", ref=timer.key, since=moment(timer.event.time), until=moment(timer.at))
        for timer in sorted(record.timers.values(), key=lambda timer: (timer.at, timer.key))
    ]
    retries = [
        Waiting(
            kind="retry",
            ref=row.step,
            worker=row.worker,
            since=moment(_last_end(work)),
            until=moment(work.next_at),
        )
        for row in in_order(record)
        # A retry that came back while the run was paused waits for its resumption, and is listed as that.
        if (work := _retrying(row)) is not None
        and ("step" if work is row.work else "undo", row.step) not in held
    ]
    return [*timers, *_open_joins(record), *_held(record), *retries, *_waiting_for_people(record)]


def _open_joins(record: Record) -> list[Waiting]:
    """Joins that something has arrived for and something has not; no other run than a running one fires any."""
    if record.head.phase != "running":
        return []
    joins = sorted(record.joins.values(), key=lambda join: (join.since, join.worker))
    return [
        Waiting(kind="join", ref=join.worker, worker=join.worker, since=moment(join.since))
        for join in joins
        if not join.fired
    ]


def _held(record: Record) -> list[Waiting]:
    """What came while the run was paused, in the order in which it goes on."""
    return [
        Waiting(kind="held", ref=job.step, worker=job.worker, since=moment(job.since))
        for job in sorted(record.held.values(), key=lambda job: job.order)
    ]


def _retrying(row: StepRow) -> Work | None:
    """The work of the row that waits for its next attempt: the step's own, or its undo's."""
    if row.state == "retrying":
        return row.work
    undo = row.undo
    waits = row.state == "undoing" and undo is not None and undo.generation > 0 and not undo.token
    return undo if waits else None


def _last_end(work: Work) -> int:
    return work.attempts[-1].ended_at if work.attempts else 0


def _waiting_for_people(record: Record) -> list[Waiting]:
    found: list[Waiting] = []
    for letter in letters_in_order(record):
        row = record.steps.get(letter.step)
        if letter.answered or (row is not None and row.closing):
            continue
        found.append(
            Waiting(
                kind="undo_stuck" if letter.kind == "undo" else "dead_letter",
                ref=letter.id,
                worker=letter.worker,
                since=moment(letter.dead_at),
            )
        )
    return found


# its steps


def in_order(record: Record) -> list[StepRow]:
    """The rows in the order they began."""
    return sorted(record.steps.values(), key=lambda row: (row.started_at, row.step))


def step_view(record: Record, row: StepRow) -> Step:
    """A job's row, with what it was begun with and what came of it."""
    event, result, work = record.events.get(row.event), record.events.get(row.result), row.work
    return Step(
        step_id=row.step,
        worker=row.worker,
        status=cast(StepStatus, row.state),
        closing=row.closing,
        attempt=work.grants,
        attempts=attempts(work),
        event=event_record(event) if event else None,
        result=event_record(result) if result else None,
        emitted=list(row.emitted),
        started_at=moment(row.started_at),
        ended_at=moment(row.ended_at),
        duration_s=_seconds(row.ended_at - row.started_at) if row.ended_at and row.started_at else None,
        next_attempt_at=moment(work.next_at),
        lease_until=moment(work.lease_until) if work.token else None,
        host=work.attempts[-1].host if work.attempts else None,
        progress=row.progress if row.progress >= 0 else None,
        note=row.note or None,
        error=row.error or None,
        error_type=row.error_type or None,
        undo=undo_info(row, row.undo) if row.undo else None,
    )


def undo_info(row: StepRow, undo: Work) -> UndoInfo:
    return UndoInfo(
        status=_undo_status(row.state),
        outcome="committed" if row.known else "unknown",
        attempts=attempts(undo),
        ended_at=moment(_last_end(undo)) if undo.done else None,
    )


def _undo_status(state: str) -> UndoStatus:
    match state:
        case "undone" | "undo_stuck":
            return state
        case _:
            return "undoing"


def attempts(work: Work) -> list[Attempt]:
    return [_attempt(one) for one in work.attempts]


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        attempt=row.number,
        started_at=exactly(row.started_at),
        ended_at=moment(row.ended_at),
        host=row.host or None,
        outcome=cast(Outcome, row.outcome) if row.outcome else None,
        error=row.error or None,
        error_type=row.error_type or None,
        delay_s=_seconds(row.delay) if row.delay else None,
    )


def event_record(row: EventRow) -> EventRecord:
    return EventRecord(
        id=row.id, name=row.name, version=row.version, time=exactly(row.time), payload=json_value(row.payload)
    )


def _seconds(duration: int) -> float:
    return duration / 1000


# history and letters


def history_entry(line: History) -> HistoryEntry:
    return HistoryEntry(
        seq=line.seq,
        at=exactly(line.at),
        kind=line.kind,
        worker=line.worker or None,
        step_id=line.step or None,
        attempt=line.attempt or None,
        event=line.event or None,
        cause=line.cause or None,
        by=line.by or None,
        reason=line.reason or None,
        detail=dict(_detail(name, value) for name, value in line.detail),
    )


def _detail(name: str, value: str) -> tuple[str, Any]:
    """The record's details are text; some of them are milliseconds, a number, a list or a yes."""
    match name:
        case "delay" if value.isdigit():
            return "delay_s", _seconds(int(value))
        case "at" | "before" if value.isdigit():
            return name, exactly(int(value)).isoformat()
        case "before":
            return name, value or None
        case "left" | "not_undone":
            return name, value.split()
        case "left_count" | "not_undone_count" if value.isdigit():
            return name, int(value)
        case "undo" if value in ("true", "false"):
            return name, value == "true"
        case _:
            return name, value


def letters_in_order(record: Record) -> list[Letter]:
    return sorted(record.letters.values(), key=lambda letter: (letter.dead_at, letter.id))


def dead_letter(record: Record, letter: Letter) -> DeadLetter:
    """A letter of the index with all that its record knows about why."""
    head, row = record.head, record.steps.get(letter.step)
    event = record.events.get(row.event if row else letter.event)
    work = row.of("undo" if letter.kind == "undo" else "step") if row else None
    return DeadLetter(
        id=letter.id,
        kind=letter.kind,
        worker=letter.worker,
        run=head.key if head.is_run else None,
        workflow=head.workflow or None,
        answered=letter.answered,
        event=event_record(event) if event else None,
        reason=letter.reason,
        error=letter.error or None,
        error_type=letter.error_type or None,
        traceback=letter.traceback or None,
        fingerprint=letter.fingerprint,
        attempts=attempts(work) if work else [],
        headers=dict(letter.headers),
        raw=letter.raw or None,
        dead_at=exactly(letter.dead_at),
        redrives=letter.redrives,
        trace_id=_trace_id(event, letter),
    )


def _trace_id(event: EventRow | None, letter: Letter) -> str | None:
    parent = (event.trace[0] if event else "") or dict(letter.headers).get("traceparent", "")
    parts = parent.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None
