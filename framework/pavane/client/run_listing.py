"""The listing of runs: found by the store's indexes, read from their records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast, get_args

from pavane.client import views
from pavane.client.listing import Found, Listing
from pavane.client.means import Means
from pavane.client.times import to_milliseconds
from pavane.errors import UsageError
from pavane.model.views import RunStatus, Status, WaitingKind
from pavane.ports.store import Place, RunQuery


def list_runs(
    means: Means,
    *,
    statuses: tuple[str, ...],
    workflow: str | None,
    waiting_for: str | None,
    since: datetime | None,
    until: datetime | None,
    newest_first: bool,
) -> Listing[RunStatus]:
    """Runs that match everything given; empty and `None` match all.

    Raises:
        UsageError: a status or a kind of waiting that does not exist, or a time without a time zone.
    """
    _check("status", statuses, Status)
    _check("waiting_for", (waiting_for,) if waiting_for else (), WaitingKind)
    query = RunQuery(
        statuses=statuses,
        workflow=workflow or "",
        since=to_milliseconds("since", since),
        until=to_milliseconds("until", until),
        newest_first=newest_first,
    )

    async def read(place: Place) -> Found[RunStatus]:
        record = await means.store.read(place.key)
        view = views.run_status(record) if record else None
        return Found(place, view if view and _fits(view, statuses, waiting_for) else None)

    async def fetch(after: Place | None, limit: int) -> Sequence[Found[RunStatus]]:
        places = await means.store.runs(query, after=after, limit=limit)
        return await asyncio.gather(*(read(place) for place in places))

    return Listing(fetch)


def _fits(view: RunStatus, statuses: tuple[str, ...], waiting_for: str | None) -> bool:
    """Asked again here: a run may have moved on between the index and its record."""
    waits = waiting_for is None or any(one.kind == waiting_for for one in view.waiting_for)
    return waits and (not statuses or view.status in statuses)


def _check(what: str, given: tuple[str, ...], literal: Any) -> None:
    known = cast("tuple[str, ...]", get_args(literal))
    for value in given:
        if value not in known:
            raise UsageError(f"{what} {value!a:.80} is none of {', '.join(known)}.")
