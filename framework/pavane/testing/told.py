"""What a failed expectation tells: the run as it is, what it waits for, and how it got there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pavane.client import views
from pavane.core.envelope import Envelope
from pavane.core.record import Record
from pavane.model import wire
from pavane.model.event import Event
from pavane.model.views import HistoryEntry, Waiting
from pavane.runtime.catalog import Catalog

E = TypeVar("E", bound=Event)


def published(envelopes: Sequence[Envelope], event: type[E], catalog: Catalog) -> list[tuple[E, str]]:
    """The events of a type, each with the run it belongs to: a starting event belongs to the run it starts."""
    workflow = catalog.started_by(event.event_name)
    found: list[tuple[E, str]] = []
    for one in envelopes:
        if one.event.name != event.event_name:
            continue
        read = wire.decode(event, one.event.payload, one.event.version)
        run = f"{workflow.name}:{workflow.run_id_of(read, one.event.id)}" if workflow else one.run
        found.append((read, run))
    return found


def unended(record: Record, now: datetime, why: str) -> str:
    """A run was waited for in vain."""
    return f"{record.head.key} has not ended: {why}.\n{story(record, now)}"


def other_status(record: Record, now: datetime, wanted: str) -> str:
    """A run is in another status than wanted."""
    present = views.run_status(record).status
    return f"{record.head.key} is {present}, not {wanted}.\n{story(record, now)}"


def story(record: Record, now: datetime) -> str:
    """How a run is, what it waits for, and its history."""
    status = views.run_status(record)
    marks = f" ({', '.join(status.stalled)})" if status.stalled else ""
    reason = f", because of {status.reason}" if status.reason else ""
    waits = [waiting(one) for one in status.waiting_for] or ["nothing that is known"]
    lines = [
        f"It is {status.status}{marks}{reason}, at {moment(now)}.",
        "It waits for:",
        *(f"  {line}" for line in waits),
        "Its steps:",
        *(
            f"  {row.step} {row.state}{f' ({row.error})' if row.error else ''}"
            for row in views.in_order(record)
        ),
        "Its history:",
        *(f"  {history(views.history_entry(line))}" for line in record.history),
    ]
    return "\n".join(lines)


def waiting(one: Waiting) -> str:
    until = f", until {moment(one.until)}" if one.until else ""
    return f"{one.kind} {one.ref}{f' of {one.worker}' if one.worker else ''}{until}"


def history(line: HistoryEntry) -> str:
    """One line of history on one line."""
    parts = [moment(line.at), line.kind, line.worker, line.event]
    if line.attempt:
        parts.append(f"attempt {line.attempt}")
    if line.reason:
        parts.append(f"({line.reason})")
    parts += [f"{name}={value}" for name, value in line.detail.items()]
    return " ".join(part for part in parts if part)


def moment(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def not_as_many(
    event: type[Event],
    count: int | None,
    fields: Mapping[str, Any],
    found: Sequence[Event],
    every: Sequence[Event],
) -> str:
    """There are more or fewer events than wanted."""
    which = f" with {', '.join(f'{name}={value!r}' for name, value in fields.items())}" if fields else ""
    wanted = "at least one" if count is None else str(count)
    lines = [f"{wanted} {event.event_name}{which} wanted, {len(found)} published."]
    if every:
        lines += ["All of this type:", *(f"  {one!r}" for one in every)]
    return "\n".join(lines)
