"""What people do to runs: cancel, compensate, pause, resume, skip a step, move the deadline.

Each is one call on the run's record. The events and jobs that it has written are published here; what cannot be
published now, the workers' relay publishes. Calling again after an error is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from pavane.client import sending
from pavane.client.audit import audited
from pavane.client.means import Means
from pavane.client.refusals import NO_SUCH_RUN, refused
from pavane.client.times import to_milliseconds
from pavane.core import pausing
from pavane.core import steering as core
from pavane.core.answers import ActionAnswer, Done, Refused, UnknownRun
from pavane.core.calls import Cancel, Compensate, MoveDeadline, Pause, Resume, Skip
from pavane.core.identity import skipped_id
from pavane.core.record import EventRow, Record, StepRow
from pavane.errors import UndeclaredEvent, UsageError
from pavane.model.event import Event
from pavane.model.views import BulkReport, Skipped

Verb: TypeAlias = Literal["cancel", "compensate", "pause", "resume"]
WholeRun: TypeAlias = Cancel | Compensate | Pause | Resume
"""A call that says no more than its run."""

LONGEST_REASON: Final = 2_000
LONGEST_ACTOR: Final = 200
"""Characters. What is said of a pause lies in the run's head, which every call of the run reads."""

PARTICIPLES: Final[dict[Verb, str]] = {
    "cancel": "cancelled",
    "compensate": "compensated",
    "pause": "paused",
    "resume": "resumed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants done to one run or to many.

    Attributes:
        undo: of a cancel: whether what was done is undone.
        by: who wants it; `None`: `settings.actor`.
        reason: for the history.
    """

    verb: Verb
    undo: bool = True
    by: str | None = None
    reason: str = ""


async def steer(means: Means, wish: Wish, run: str) -> None:
    """Do it to one run.

    Raises:
        UsageError: what is said is too long.
        RunNotFound: there is no such run.
        ActionRefused: its status forbids it.
        StateUnavailable: the outcome is unknown.
    """
    call = _call(means, wish, run, await means.subscribed())
    async with audited(means, f"runs {wish.verb}", [run], by=wish.by, reason=wish.reason):
        if reason := await _carry_out(means, call):
            raise refused(run, PARTICIPLES[wish.verb], reason)


async def steer_all(means: Means, wish: Wish, runs: Sequence[str], *, dry_run: bool) -> BulkReport:
    """Do it to each of these runs, one after the other, and report; what is refused keeps none of the others.

    Args:
        dry_run: change nothing; the report says what would happen now.

    Raises:
        StateUnavailable: it stopped on the way; doing it again is harmless.
    """
    subscribed = await means.subscribed()
    calls = {run: _call(means, wish, run, subscribed) for run in runs}
    skipped: list[Skipped] = []
    if dry_run:
        for run, call in calls.items():
            if reason := await _foresee(means, call):
                skipped.append(Skipped(id=run, reason=reason))
        return BulkReport(matched=len(runs), done=len(runs) - len(skipped), dry_run=True, skipped=skipped)
    async with audited(means, f"runs {wish.verb}", list(calls), by=wish.by, reason=wish.reason) as change:
        change.done = done = dict[str, None]()
        for run, call in calls.items():
            if reason := await _carry_out(means, call):
                skipped.append(Skipped(id=run, reason=reason))
            else:
                done[run] = None
        change.skipped = [one.id for one in skipped]
    await means.drain()
    return BulkReport(matched=len(runs), done=len(runs) - len(skipped), dry_run=dry_run, skipped=skipped)


async def skip(
    means: Means, record: Record, step: str, result: Event, *, reason: str, by: str | None = None
) -> None:
    """Commit `result` instead of a step of this run.

    Raises:
        UndeclaredEvent: the step's worker does not declare this event.
        UsageError: the event cannot be emitted at all, or what is said is too long.
        TooLarge: it is over `settings.max_body`.
        ActionRefused: there is no such step, or its state forbids it.
        StateUnavailable: the outcome is unknown.
    """
    run, row = record.head.key, record.steps.get(step)
    if row is None:
        raise refused(run, "skipped", "unknown_step", step=step)
    actor, reason = _said(by, reason, means)
    event = _in_its_place(sending.event_row(means, result, ""), record, row)
    await _check_declared(means, row.worker, event.name)
    call = Skip(
        record=run,
        subscribed=await means.subscribed(),
        step=step,
        event=event,
        by=actor,
        reason=reason,
    )
    async with audited(means, "runs skip", [run, step], by=by, reason=reason):
        if refusal := await _settled(means, run, await means.store.skip(call)):
            raise refused(run, "skipped", refusal, step=step)


async def move_deadline(means: Means, run: str, to: datetime, *, reason: str, by: str | None = None) -> None:
    """Give a run another deadline.

    Raises:
        UsageError: a time without a time zone, or what is said is too long.
        RunNotFound: there is no such run.
        ActionRefused: it is not running any more, or that time has passed.
        StateUnavailable: the outcome is unknown.
    """
    actor, reason = _said(by, reason, means)
    call = MoveDeadline(record=run, at=to_milliseconds("to", to), by=actor, reason=reason)
    async with audited(means, "runs deadline", [run], by=by, reason=reason):
        if refusal := await _settled(means, run, await means.store.move_deadline(call)):
            raise refused(run, "given another deadline", refusal)


# one call


def _said(by: str | None, reason: str, means: Means) -> tuple[str, str]:
    """Who wants it, and why.

    Raises:
        UsageError: one of them is too long.
    """
    actor = by or means.settings.actor
    for what, text, longest in (("reason", reason, LONGEST_REASON), ("by", actor, LONGEST_ACTOR)):
        if len(text) > longest:
            raise UsageError(
                f"{what} has {len(text)} characters; {longest} are allowed.",
                remedy="Keep the story elsewhere, and give its place as the reason.",
            )
    return actor, reason


def _call(means: Means, wish: Wish, run: str, subscribed: tuple[str, ...]) -> WholeRun:
    by, reason = _said(wish.by, wish.reason, means)
    match wish.verb:
        case "cancel":
            request = means.new_id()
            return Cancel(
                record=run, subscribed=subscribed, request=request, undo=wish.undo, by=by, reason=reason
            )
        case "compensate":
            return Compensate(record=run, subscribed=subscribed, request=means.new_id(), by=by, reason=reason)
        case "pause":
            return Pause(record=run, subscribed=subscribed, by=by, reason=reason)
        case "resume":
            return Resume(record=run, subscribed=subscribed, by=by, reason=reason)


async def _carry_out(means: Means, call: WholeRun) -> str:
    """Why it was refused, or an empty string."""
    return await _settled(means, call.record, await _answer(means, call))


async def _answer(means: Means, call: WholeRun) -> ActionAnswer:
    match call:
        case Cancel():
            return await means.store.cancel(call)
        case Compensate():
            return await means.store.compensate(call)
        case Pause():
            return await means.store.pause(call)
        case Resume():
            return await means.store.resume(call)


async def _foresee(means: Means, call: WholeRun) -> str:
    """What `_carry_out` would say if nothing changes until then. Writes nothing."""
    record, now = await means.store.read(call.record), await means.store.now()
    return _refusal(_foreseen(record, call, now))


def _foreseen(record: Record | None, call: WholeRun, now: int) -> ActionAnswer:
    """The answer, by the very function that would decide it."""
    match call:
        case Cancel():
            return core.cancel(record, call, now)[1]
        case Compensate():
            return core.compensate(record, call, now)[1]
        case Pause():
            return pausing.pause(record, call, now)[1]
        case Resume():
            return pausing.resume(record, call, now)[1]


async def _settled(means: Means, run: str, answer: ActionAnswer) -> str:
    if isinstance(answer, Done):
        await means.publish(run, answer.rows)
    return _refusal(answer)


def _refusal(answer: ActionAnswer) -> str:
    match answer:
        case Done():
            return ""
        case Refused(reason=reason):
            return reason
        case UnknownRun():
            return NO_SUCH_RUN


# the event of a skip


def _in_its_place(event: EventRow, record: Record, row: StepRow) -> EventRow:
    """The event as if the step had emitted it. Its chain of hops begins anew, as with every event from outside."""
    cause = record.events.get(row.event)
    return replace(
        event,
        id=skipped_id(record.head.key, row.step, event.name, event.payload),
        producer=row.worker,
        causation=row.event,
        trace=cause.trace if cause else event.trace,
    )


async def _check_declared(means: Means, worker: str, event: str) -> None:
    """What a worker emits is asked of the services themselves: whoever skips need not have their code."""
    registrations = await means.store.registrations()
    declared = next((one.emits[worker] for one in registrations if worker in one.emits), None)
    if declared is None:
        service = worker.partition(".")[0]
        raise UndeclaredEvent(
            f"No service has said what {worker} emits.",
            remedy=f"Start {service} once in its present version: `pavane run APP --only {service}`.",
        )
    if event not in declared:
        raise UndeclaredEvent(
            f"{worker} does not emit {event}, so nothing that follows it expects that.",
            remedy=f"It emits: {', '.join(declared)}." if declared else "It emits nothing.",
        )
