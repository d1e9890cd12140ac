"""Records of the latest runs, for what is counted over many of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from pavane.client.means import Means
from pavane.core.record import Record
from pavane.ports.store import RunQuery

AT_ONCE: Final = 100


async def latest_records(means: Means, query: RunQuery, limit: int) -> AsyncIterator[Record]:
    """Up to `limit` records that match, in the query's order; one that goes meanwhile is left out.

    Raises:
        StateUnavailable: the store does not answer.
    """
    after, left = None, limit
    while left > 0:
        asked = min(left, AT_ONCE)
        places = await means.store.runs(query, after=after, limit=asked)
        for record in await asyncio.gather(*(means.store.read(place.key) for place in places)):
            if record is not None:
                yield record
        if len(places) < asked:
            return
        after, left = places[-1], left - asked
