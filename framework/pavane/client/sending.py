"""Events from outside: made, and brought to their subscribers or into a run."""

from __future__ import annotations

from typing import Final

from pavane.client.means import Means
from pavane.client.tracing import present_trace
from pavane.core.answers import Emitted, Refused
from pavane.core.calls import Emit
from pavane.core.envelope import event_headers
from pavane.core.record import EventRow
from pavane.errors import ActionRefused, BrokerUnavailable, RunNotFound, TooLarge, UsageError
from pavane.model.event import Event, RawEvent
from pavane.model.names import RESERVED, split_run
from pavane.model.wire import encode
from pavane.ports.broker import Message, ToSubscribers, Unroutable

PRODUCER: Final = "client"
"""Who sent an event that no worker emitted, on the wire and in the record."""


def event_row(means: Means, event: Event, event_id: str) -> EventRow:
    """The event as it is kept and sent.

    Raises:
        UsageError: it has no name, one of pavane's own, or cannot be written as JSON.
        TooLarge: over `settings.max_body`; found here, before anything is recorded that could never be sent.
    """
    name = type(event).event_name
    if not name or isinstance(event, RawEvent) or name.startswith(RESERVED):
        raise UsageError(
            f"{type(event).__qualname__} cannot be emitted: it has no name of its own, or one of pavane's."
        )
    payload = encode(event)
    if len(payload) > means.settings.max_body:
        raise TooLarge(
            f"{name} has {len(payload)} bytes, the limit is {means.settings.max_body}.",
            remedy="Keep the data elsewhere and send a reference, or raise PAVANE_MAX_BODY everywhere.",
        )
    return EventRow(
        id=event_id,
        name=name,
        version=type(event).event_version,
        time=means.clock.now(),
        payload=payload,
        producer=PRODUCER,
        trace=present_trace(),
    )


async def emit_outside(means: Means, row: EventRow) -> None:
    """Publish an event that belongs to no run; the receivers know whether it starts one.

    Raises:
        BrokerUnavailable: not confirmed, or no queue takes it although somebody is registered for it.
    """
    message = Message(body=row.payload, headers=event_headers(row, ""))
    try:
        await means.broker.publish(message, ToSubscribers(row.name))
    except Unroutable:
        await means.subscriptions.refresh()
        if means.subscriptions.anybody(row.name):
            raise BrokerUnavailable(
                f"{row.name} came back although workers are registered for it: no queue is bound.",
                remedy="Run `pavane topology apply`, then emit it again.",
            ) from None


async def emit_into(means: Means, row: EventRow, run: str) -> None:
    """Write an event into a run's record, then publish it.

    Raises:
        UsageError: `run` is no run's name.
        RunNotFound: there is no such run.
        ActionRefused: the run is no longer running.
    """
    if split_run(run) is None:
        raise UsageError(f"{run!a:.200} is no run.", remedy="A run is named <workflow>:<run id>.")
    call = Emit(record=run, subscribed=await means.subscribed(), event=row, by=means.settings.actor)
    match await means.store.emit(call):
        case Emitted(rows=rows):
            await means.publish(run, rows)
        case Refused(reason=reason):
            present = reason.removeprefix("run_")
            raise ActionRefused(f"{run} takes no events from outside any more: it is {present}.", run=run)
        case _:
            raise RunNotFound(f"There is no run {run}.", run=run)
