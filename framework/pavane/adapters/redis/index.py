"""Listing what the shards know: runs, dead letters, a record's history.

Each shard lists for itself in the order asked for; the first of all of them together are the answer.
"""

from __future__ import annotations

import asyncio
from itertools import zip_longest
from typing import Any

from pavane.adapters.redis import rows
from pavane.adapters.redis.server import Server
from pavane.core.record import History
from pavane.ports.store import Place, RunQuery


class Index:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._keys = server.keys

    async def runs(self, query: RunQuery, *, after: Place | None, limit: int) -> list[Place]:
        """Keys of the runs that match, from behind `after`."""
        document = {
            "indexes": [f"status:{status}" for status in sorted(set(query.statuses))] or ["runs"],
            "from": str(query.since) if query.since else "-inf",
            "until_": f"({query.until}" if query.until else "+inf",
            "newest_first": query.newest_first,
            "prefix": f"{query.workflow}:" if query.workflow else "",
        }
        return await self._places(document, after, limit)

    async def letters(self, *, after: Place | None, limit: int) -> list[Place]:
        """Ids of the dead letters, oldest first, from behind `after`."""
        document = {
            "indexes": ["letters"],
            "from": "-inf",
            "until_": "+inf",
            "newest_first": False,
            "prefix": "",
            "owners": True,
        }
        return await self._places(document, after, limit)

    async def record_of(self, letter_id: str) -> str | None:
        """The record that a dead letter belongs to; its shard does not follow from its id."""
        answers = await asyncio.gather(
            *(
                self._server.ask("owner", shard, self._keys.of_shard("letters", shard), {"letter": letter_id})
                for shard in range(self._server.shards)
            )
        )
        return next((key.decode() for _, key in answers if key is not None), None)

    async def history(self, record: str, *, after: int, limit: int) -> list[History]:
        """Lines with a `seq` above `after`. Numbers are left out of the sequence, so as many lines as the last
        one is ahead of `after` are enough to look at."""
        shard = self._keys.shard(record)
        reply = await self._server.ask(
            "history", shard, self._keys.run(record, shard), {"after": after, "limit": limit}
        )
        return [rows.history(line) for line in reply[1]]

    async def _places(self, document: dict[str, Any], after: Place | None, limit: int) -> list[Place]:
        document["limit"] = limit
        if after is not None:
            bound = "until_" if document["newest_first"] else "from"
            document[bound] = str(after.at)
            document["after"] = {"at": after.at, "key": after.key}
        answers = await asyncio.gather(
            *(
                self._server.ask("places", shard, self._keys.of_shard("runs", shard), document)
                for shard in range(self._server.shards)
            )
        )
        found = [
            Place(at=int(score), key=key, record=(owner or b"").decode())
            for _, flat, owners in answers
            for (key, score), owner in zip_longest(rows.pairs(flat), owners)
        ]
        found.sort(key=lambda place: (place.at, place.key), reverse=document["newest_first"])
        return found[:limit]
