"""Events that runs have sent and no queue took, by name: as the histories of the latest runs tell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, TypeAlias

from pavane.client.means import Means
from pavane.client.records import latest_records
from pavane.client.times import to_milliseconds
from pavane.client.views import exactly
from pavane.core.letters import nowhere_to_go
from pavane.core.record import OutboxRow, Record
from pavane.model.views import View
from pavane.ports.store import RunQuery

Reason: TypeAlias = Literal["nobody", "no_binding"]

TRIED: Final = 3
"""Tries after which an event of an ended run counts as come back; fewer may have been a short outage."""


class UnroutedEvent(View):
    """Events of one name that no queue took.

    Attributes:
        reason: `nobody` was registered for it, and it is gone; or somebody is and `no_binding` leads there: it is
            kept with its run and sent again; a live run is stalled for it.
        count: how many, in the runs that were looked at.
        endings: those of them that ended their run, which is what they are for: nobody has to hear them.
        registered: whether a worker is registered for it now.
        last_at: when it was last seen.
        example_run: the run of that one.
    """

    event: str
    reason: Reason
    count: int
    endings: int
    registered: bool
    last_at: datetime
    example_run: str


async def unrouted_events(
    means: Means, *, since: datetime | None, until: datetime | None, limit: int
) -> list[UnroutedEvent]:
    """Those of the latest runs; last the names that only ended runs, otherwise the most frequent first.

    Args:
        since, until: of the runs' start, aware.
        limit: runs to look at.

    Raises:
        UsageError: a time without a zone.
        StateUnavailable: the store does not answer.
    """
    query = RunQuery(since=to_milliseconds("since", since), until=to_milliseconds("until", until))
    await means.subscriptions.refresh()
    found: dict[tuple[str, Reason], UnroutedEvent] = {}
    async for record in latest_records(means, query, limit):
        for name, reason, at, ended in _of(record):
            before = found.get((name, reason))
            latest = before is None or exactly(at) > before.last_at
            found[name, reason] = UnroutedEvent(
                event=name,
                reason=reason,
                count=(before.count if before else 0) + 1,
                endings=(before.endings if before else 0) + ended,
                registered=means.subscriptions.anybody(name),
                last_at=exactly(at) if before is None or latest else before.last_at,
                example_run=record.head.key if before is None or latest else before.example_run,
            )
    return sorted(found.values(), key=lambda one: (_harmless(one), -one.count, one.event))


def _harmless(found: UnroutedEvent) -> bool:
    return found.reason == "nobody" and found.count == found.endings


def _of(record: Record) -> Iterator[tuple[str, Reason, int, bool]]:
    """Name, reason, time, and whether it ended the run."""
    for line in record.history:
        if line.kind == "unrouted":
            yield line.event, "nobody", line.at, line.cause == record.head.end_event
    for row in record.outbox.values():
        if row.kind == "event" and _came_back(record, row):
            event = record.events[row.id]
            yield event.name, "no_binding", event.time, row.id == record.head.end_event


def _came_back(record: Record, row: OutboxRow) -> bool:
    """A live run is stalled for it; one that has ended is not, and only its tries tell."""
    if record.head.terminal:
        return row.tries >= TRIED
    return nowhere_to_go(record, row) in record.head.stalled
