"""What processes agree on beside the records: locks, and what the services say about themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import orjson

from pavane.adapters.redis import rows
from pavane.adapters.redis.server import Server
from pavane.ports.store import Registration


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
