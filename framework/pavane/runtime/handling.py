"""Calling a handler, and turning what it did into a commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any

from pavane.core import identity
from pavane.core.answers import Granted
from pavane.core.calls import Commit, CommitUndo, TimerSet
from pavane.core.joining import joined_events
from pavane.core.record import EventRow
from pavane.errors import LimitExceeded, UsageError
from pavane.model import wire
from pavane.model.context import Context, JobInfo, UndoContext
from pavane.model.event import Event
from pavane.model.intentions import Intentions
from pavane.model.values import EventInfo
from pavane.runtime.attempt import Attempt
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject


def job_info(subject: Subject, event: EventRow, granted: Granted, attempt: Attempt) -> JobInfo:
    workflow, _, run_id = subject.record.partition(":")
    loose = subject.record.startswith("~")
    return JobInfo(
        run_id=subject.record[1:] if loose else run_id,
        workflow=None if loose else workflow,
        worker=subject.worker.full_name,
        event=EventInfo(
            id=event.id,
            name=event.name,
            version=event.version,
            time=datetime.fromtimestamp(event.time / 1000, UTC),
            causation_id=event.causation or None,
            producer=event.producer,
        ),
        attempt=granted.attempt,
        idempotency_key=idempotency_key(subject, granted),
        fencing_token=granted.token,
        deadline=datetime.fromtimestamp(attempt.deadline / 1000, UTC),
    )


def idempotency_key(subject: Subject, granted: Granted) -> str:
    """The step's; of an edited letter's step that of the step it replaces, unless it was to have a new one."""
    step = granted.key_step if subject.kind == "step" else ""
    return identity.idempotency_key(subject.record, step or subject.step, subject.kind)


def handler_call(
    subject: Subject,
    granted: Granted,
    attempt: Attempt,
    intentions: Intentions,
    resources: object,
    threads: Executor,
) -> Callable[[], Awaitable[Any]]:
    """The handler with its arguments, as one awaitable call."""
    if subject.kind == "undo":
        return undo_call(subject, granted, attempt, resources, threads)
    context: Context[Any] = Context(
        job_info(subject, subject.envelope.event, granted, attempt),
        resources,
        intentions=intentions,
        snapshot=dict(granted.data),
        stopping=attempt.stopping,
        report=attempt.report,
    )
    arguments = (context, *event_arguments(subject, granted.joined))
    return bound(subject.worker.handler, subject.worker.is_async, arguments, threads)


def undo_call(
    subject: Subject, granted: Granted, attempt: Attempt, resources: object, threads: Executor
) -> Callable[[], Awaitable[Any]]:
    """The undo with its arguments, which come from the record: the original events and the committed result."""
    undo = subject.worker.compensation
    if undo is None or granted.event is None:
        raise UsageError(f"{subject.worker.full_name} has no compensate_with any more.")
    context: UndoContext[Any] = UndoContext(
        job_info(subject, granted.event, granted, attempt),
        resources,
        outcome="unknown" if granted.unknown else "committed",
        reason=granted.reason,
        snapshot=dict(granted.data),
        report=attempt.report,
    )
    arguments: tuple[Any, ...]
    if subject.worker.joins:
        arguments = (context, *event_arguments(subject, granted.joined))
    else:
        arguments = (context, decode_row(subject.worker.events, granted.event))
    if undo.takes_done:
        result = decode_row(subject.worker.produces, granted.result) if granted.result else None
        arguments = (*arguments, result)
    return bound(undo.undo, undo.is_async, arguments, threads)


def event_arguments(subject: Subject, joined: tuple[EventRow, ...]) -> tuple[Event, ...]:
    """The events that a handler is called with: the one that was delivered, or those of its join.

    Raises:
        UsageError: the job belongs to a join of other events than the worker has now.
    """
    if not subject.worker.joins:
        return (subject.event,) if subject.event is not None else ()
    if len(joined) != len(subject.worker.events):
        raise UsageError(
            f"{subject.worker.full_name} joins {len(subject.worker.events)} events, this job has {len(joined)}.",
            remedy="Deploy the version that the run was begun with, then redrive.",
        )
    return tuple(decode_row(subject.worker.events, row) for row in joined)


async def joined_rows(crew: Crew, subject: Subject, granted: Granted | None = None) -> tuple[EventRow, ...]:
    """The events of a job's join: those it was granted, else those of its record. Of other jobs none."""
    if granted is not None or not subject.worker.joins:
        return granted.joined if granted is not None else ()
    record = await crew.patience.insist("state", lambda: crew.store.read(subject.record))
    row = record.steps.get(subject.step) if record is not None else None
    return joined_events(record, row) if record is not None and row is not None else ()


def decode_row(classes: tuple[type[Event], ...], row: EventRow) -> Event:
    """An event of the record as its class."""
    event = next((event for event in classes if event.event_name == row.name), None)
    if event is None:
        raise UsageError(f"No class here for {row.name}, which this worker once handled or emitted.")
    return wire.decode(event, row.payload, row.version)


def bound(
    function: Callable[..., Any], is_async: bool, arguments: tuple[Any, ...], threads: Executor
) -> Callable[[], Awaitable[Any]]:
    """`async def` runs on the loop, `def` in a thread. A thread cannot be cancelled: it is left to end."""
    if is_async:
        return lambda: function(*arguments)
    loop = asyncio.get_running_loop()
    return lambda: loop.run_in_executor(threads, lambda: function(*arguments))


def commit_call(
    crew: Crew, subject: Subject, granted: Granted, intentions: Intentions, result: object
) -> Commit | CommitUndo:
    """Everything the handler asked for, as one commit.

    Raises:
        UsageError: it returned or emitted what its worker does not declare, or more than the limits allow.
    """
    intentions.close()
    if subject.kind == "undo":
        return CommitUndo(
            record=subject.record,
            subscribed=crew.subscriptions.framework,
            step=subject.step,
            token=granted.token,
        )
    if result is not None:
        intentions.check_event(result)
    events = [*intentions.emitted, *([result] if isinstance(result, Event) else [])]
    hops = subject.envelope.event.hops + 1
    if events and hops > crew.settings.max_hops:
        raise LimitExceeded(
            f"Event {hops} of a chain without timer or outside event: do two workers feed each other?",
            remedy="Break the cycle, or put a timer into it; PAVANE_MAX_HOPS sets the limit.",
        )
    if len(events) > crew.settings.max_emits:
        raise LimitExceeded(f"More than {crew.settings.max_emits} events from one step.")
    rows = tuple(new_event(crew, subject, event, place, hops=hops) for place, event in enumerate(events))
    timers = tuple(timer_sets(crew, subject, intentions))
    size = sum(len(row.payload) for row in rows) + sum(len(value) for value in intentions.patch.values())
    if size > crew.settings.max_commit:
        raise LimitExceeded(
            f"{size} bytes in one commit; {crew.settings.max_commit} are allowed.",
            remedy="Keep large content elsewhere and send its place; PAVANE_MAX_COMMIT sets the limit.",
        )
    return Commit(
        record=subject.record,
        subscribed=crew.subscriptions.framework,
        step=subject.step,
        token=granted.token,
        result=rows[-1].id if isinstance(result, Event) else "",
        events=rows,
        data=tuple(intentions.patch.items()),
        timers=timers,
        relative=tuple(
            timer.key for timer, wanted in zip(timers, intentions.timers, strict=True) if wanted.at_ms is None
        ),
        cancelled_timers=tuple(intentions.cancelled),
    )


def timer_sets(crew: Crew, subject: Subject, intentions: Intentions) -> list[TimerSet]:
    """Timers to set. One without a key of its own gets its event's id, so that it never replaces another."""
    found: list[TimerSet] = []
    for place, timer in enumerate(intentions.timers):
        event = new_event(crew, subject, timer.event, place, hops=0, kind="timer")
        at = timer.delay_ms if timer.at_ms is None else timer.at_ms
        found.append(TimerSet(key=timer.key or event.id, at=at or 0, event=event))
    return found


def new_event(
    crew: Crew, subject: Subject, event: Event, place: int, *, hops: int, kind: str = "event"
) -> EventRow:
    """An emitted event with the id that it has in every attempt.

    Raises:
        LimitExceeded: it is larger than a message may be.
    """
    payload = wire.encode(event)
    if len(payload) > crew.settings.max_body:
        raise LimitExceeded(
            f"{event.event_name} has {len(payload)} bytes; {crew.settings.max_body} are allowed.",
            remedy="Keep large content elsewhere and send its place; PAVANE_MAX_BODY sets the limit.",
        )
    cause = subject.envelope.event
    return EventRow(
        id=identity.emitted_id(subject.record, subject.step, place, kind),
        name=event.event_name,
        version=event.event_version,
        time=crew.clock.now(),
        payload=payload,
        producer=subject.worker.full_name,
        causation=cause.id,
        hops=hops,
        trace=cause.trace,
    )
