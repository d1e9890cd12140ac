"""A namespace whose one worker has dead letters, seen from inside and from the command line."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.topology import Names
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from tests.crash.stage import eventually
from tests.integration.cli_runner import Done, Pavane
from tests.integration.letter_bulk import fill
from tests.integration.scale_shop import VARIABLE, WORKER, Charged, Ledger, app
from tests.servers import RabbitServer, RedisServer

SAID = ("--by", "operator-1", "--reason", "the bank is back", "--yes")


@dataclass
class Bank:
    """Use `open_bank`."""

    pavane: Pavane
    settings: Settings
    store: Store
    broker: Broker
    ledger: Ledger

    @property
    def names(self) -> Names:
        return Names(self.settings.namespace)

    @property
    def queue(self) -> str:
        return self.names.queue("bank", "charge")

    @property
    def dead(self) -> str:
        return self.names.dead_letter_queue("bank", "charge")

    async def fill(self, count: int) -> list[str]:
        """That many letters; their ids, in the order of their queue."""
        payloads = [b'{"number":%d}' % number for number in range(count)]
        letters = await fill(self.store, self.broker, self.names, WORKER, Charged.event_name, payloads)

        async def there() -> bool:
            return await self.ready(self.dead) == count

        await eventually("all letters in their queue", there)
        return letters

    async def ready(self, queue: str) -> int:
        [count] = await self.broker.count([queue])
        assert count is not None
        return count.ready

    async def listed(self) -> int:
        return len(await self.store.letters(limit=100_000))

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """Somebody else's, with connections of their own."""
        store, broker = connect(self.settings)
        await open_pair(store, broker)
        try:
            yield Client.over(store, broker, settings=self.settings, clock=SystemClock())
        finally:
            await close_pair(store, broker)

    async def cli(self, *words: str) -> Done:
        return await asyncio.to_thread(self.pavane.outside, *words)

    async def audit(self) -> list[dict[str, Any]]:
        """The audit's lines, oldest first."""
        done = await self.cli("audit", "--limit", "1000", "--json")
        assert done.code == 0, done
        return list(reversed(done.document["items"]))

    async def worked_off(self, count: int) -> None:
        """Let a process of the worker run until it has done as much."""
        with self.pavane.running() as workers:
            await asyncio.to_thread(workers.wait_until_ready)

            async def done() -> bool:
                return self.ledger.count() >= count and await self.ready(self.queue) == 0

            await eventually(f"{count} charges", done, within=90)


@asynccontextmanager
async def open_bank(rabbit: RabbitServer, redis_server: RedisServer, folder: Path) -> AsyncIterator[Bank]:
    """What is needed is declared and registered; nobody works there."""
    namespace = f"t{secrets.token_hex(8)}"
    pavane = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=namespace,
        PAVANE_APP="tests.integration.scale_shop:app",
        **{VARIABLE: str(folder / "ledger")},
    )
    settings = Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace)
    store, broker = connect(settings)
    await open_pair(store, broker)
    await app.prepare(store, broker, settings)
    for registration in app.registrations(settings):
        await store.register(registration)
    ledger = Ledger(folder / "ledger")
    try:
        yield Bank(pavane, settings, store, broker, ledger)
    finally:
        ledger.close()
        await close_pair(store, broker)
