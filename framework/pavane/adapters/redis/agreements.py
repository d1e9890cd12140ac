"""What processes agree on beside the records: locks, turns, and what the services say about themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson

from pavane.adapters.redis import rows
from pavane.adapters.redis.server import Server
from pavane.core.limiting import Rate
from pavane.ports.store import Handed, Registration

LOOK_FOR = 15
"""Seconds that a process waits in Redis for rows that were left to it, before it asks again: a connection that is
dead without a word is found out so."""

TAKEN = 100
"""Rows that a process takes at once."""


class Agreements:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._keys = server.keys

    async def claim(self, name: str, owner: str, duration: int) -> int:
        return int(
            await self._server.script("claim", self._keys.lock(name), [owner.encode(), b"%d" % duration])
        )

    async def disclaim(self, name: str, owner: str) -> None:
        await self._server.script("disclaim", self._keys.lock(name), [owner.encode()])

    async def register(self, registration: Registration) -> None:
        document = orjson.dumps(
            {
                "subscriptions": registration.subscriptions,
                "workflows": registration.workflows,
                "alert_at": registration.alert_at,
                "emits": registration.emits,
            }
        )
        await self._server.command(b"HSET", self._keys.services(), registration.service.encode(), document)

    async def registrations(self) -> Sequence[Registration]:
        found = await self._server.command(b"HGETALL", self._keys.services())
        return [registration(service, value) for service, value in rows.pairs(found)]

    async def take_turn(self, rate: Rate, job: str) -> int:
        words = [job.encode(), b"%d" % rate.interval, b"%d" % rate.burst]
        return int(await self._server.script("take_turn", self._keys.rate(rate.limiter), words))

    async def give_back_turn(self, rate: Rate) -> None:
        await self._server.script("give_back_turn", self._keys.rate(rate.limiter), [b"%d" % rate.interval])

    async def hand_over(self, service: str, rows: Collection[Handed]) -> None:
        members = [orjson.dumps((row.record, row.row)) for row in rows]
        await self._server.script("hand_over", self._keys.handed(service), members)

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        """Waits in Redis; what else was left to the service whose turn it is comes along with the first row."""
        keys = [self._keys.handed(service) for service in services]
        found = await self._server.wait(LOOK_FOR, b"BZPOPMIN", *keys)
        if found is None:
            return ()
        rest = await self._server.command(b"ZPOPMIN", found[0], b"%d" % (TAKEN - 1))
        return [row for member in (found[1], *rest[::2]) if (row := handed(member)) is not None]

    async def remember(self, words: Collection[str]) -> None:
        if words:
            await self._server.command(b"SADD", self._keys.declared(), *(word.encode() for word in words))

    async def remembered(self) -> frozenset[str]:
        found = await self._server.command(b"SMEMBERS", self._keys.declared())
        return frozenset(word.decode(errors="replace") for word in found)

    async def forget(self, words: Collection[str]) -> None:
        if words:
            await self._server.command(b"SREM", self._keys.declared(), *(word.encode() for word in words))


def registration(service: str, stored: bytes) -> Registration:
    document = orjson.loads(stored)
    return Registration(
        service=service,
        subscriptions={worker: tuple(events) for worker, events in document["subscriptions"].items()},
        workflows=document["workflows"],
        alert_at=document.get("alert_at", {}),  # a service of an older version has not said these two
        emits={worker: tuple(events) for worker, events in document.get("emits", {}).items()},
    )


def handed(stored: bytes) -> Handed | None:
    """`None`: somebody else wrote that."""
    try:
        match orjson.loads(stored):
            case [str(record), str(row)]:
                return Handed(record=record, row=row)
            case _:
                return None
    except orjson.JSONDecodeError:
        return None
