"""Where a saga test plays: the same test on the pair in memory, by a virtual clock, and on real servers.

Both have one process, whose handlers can be held, made to fail, replaced and killed with their process by the
same means: the harness's. What differs is how one waits: in memory the clock moves until it is true, on servers
one looks again and again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

from pavane import App, Client, RunHandle, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.envelope import event_headers
from pavane.core.record import Record, StepRow
from pavane.ports.broker import Broker, Message, ToSubscribers
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from pavane.testing import Harness
from pavane.testing.faults import Faults
from pavane.testing.life import Life
from pavane.testing.sabotage import Sabotage
from pavane.testing.stage import Stage
from tests.servers import RabbitServer, RedisServer

LONGEST = 20 * 60.0
"""Virtual seconds that something is waited for in memory."""

LONGEST_ON_SERVERS = 30.0


class Scene(ABC):
    """A process at work, what a test may do to it, and what it may ask."""

    client: Client
    faults: Sabotage
    store: Store
    broker: Broker

    @abstractmethod
    async def until(self, what: str, true: Callable[[], Awaitable[object]]) -> None:
        """Return when it is true.

        Raises:
            AssertionError: it never is.
        """

    # what is done

    async def again(self, record: Record, event: str) -> None:
        """Deliver an event of a record to its subscribers once more."""
        row = record.events[event]
        message = Message(body=row.payload, headers=event_headers(row, record.head.key))
        await self.broker.publish(message, ToSubscribers(row.name))

    # what there is

    async def record(self, run: RunHandle[Any]) -> Record:
        record = await self.store.read(run.run)
        assert record is not None, f"no run {run.run}"
        return record

    async def row(self, run: RunHandle[Any], worker: str) -> StepRow | None:
        """The only row of a worker in a run."""
        rows = [row for row in (await self.record(run)).steps.values() if row.worker == worker]
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    async def known(self, run: RunHandle[Any], worker: str) -> StepRow:
        row = await self.row(run, worker)
        assert row is not None, f"{worker} has no step in {run.run}"
        return row

    async def history(self, run: RunHandle[Any]) -> list[str]:
        """The kinds of what happened, in order."""
        return [line.kind for line in await run.history().all()]

    # what is waited for

    async def until_status(self, run: RunHandle[Any], status: str) -> None:
        async def is_so() -> bool:
            return (await run.status()).status == status

        try:
            await self.until(f"{run.run} is {status}", is_so)
        except AssertionError as error:
            lines = [
                f"{one.kind} {one.step_id or ''} {one.reason or ''}" for one in await run.history().all()
            ]
            raise AssertionError("\n".join([str(error), repr(await run.status()), *lines])) from None

    async def until_row(self, run: RunHandle[Any], worker: str, state: str) -> None:
        async def is_so() -> bool:
            row = await self.row(run, worker)
            return row is not None and row.state == state

        await self.until(f"{worker} is {state} in {run.run}", is_so)

    async def until_held(self, run: RunHandle[Any], count: int) -> None:
        async def is_so() -> bool:
            return len((await self.record(run)).held) == count

        await self.until(f"{count} jobs of {run.run} are held", is_so)

    async def until_told(self, run: RunHandle[Any], worker: str) -> None:
        """Two renewals long, so that the answer of the first has been heard."""
        for _ in range(2):
            before = (await self.known(run, worker)).work.lease_until

            async def renewed(before: int = before) -> bool:
                return (await self.known(run, worker)).work.lease_until > before

            await self.until(f"{worker} has renewed its lease", renewed)


class InMemory(Scene):
    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.client, self.faults = harness.client, harness
        self.store, self.broker = harness._store, harness._broker

    async def until(self, what: str, true: Callable[[], Awaitable[object]]) -> None:
        passed, step = 0.0, 0.1
        await self._harness.until_idle()
        while not await true():
            assert passed < LONGEST, f"never, in {passed:g} virtual seconds: {what}"
            await self._harness.advance(step)
            passed += step
            step = min(5.0, step * 1.1)


class OnServers(Scene):
    def __init__(self, life: Life, client: Client, faults: Sabotage, store: Store, broker: Broker) -> None:
        self._life = life
        self.client, self.faults = client, faults
        self.store, self.broker = store, broker

    async def until(self, what: str, true: Callable[[], Awaitable[object]]) -> None:
        end = time.monotonic() + LONGEST_ON_SERVERS
        while not await true():
            self._life.check()
            assert time.monotonic() < end, f"not within {LONGEST_ON_SERVERS:g} s: {what}"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def in_memory(app: App) -> AsyncIterator[Scene]:
    async with Harness(app) as harness:
        yield InMemory(harness)


@asynccontextmanager
async def on_servers(app: App, rabbit: RabbitServer, redis: RedisServer) -> AsyncIterator[Scene]:
    settings = Settings(
        broker_url=rabbit.url, state_url=redis.url, namespace=f"t{secrets.token_hex(6)}", shards=2
    )
    store, broker = connect(settings)
    observed_store: Any = store
    observed_broker: Any = broker
    system_clock: Any = SystemClock()
    faults = Faults()
    stage = Stage(app.workers, faults, 5.0)
    life = Life(app, settings, observed_store, observed_broker, system_clock, stage, faults, Random(), {})
    await open_pair(store, broker)
    try:
        await app.prepare(store, broker, settings)
        await life.start()
        async with Client.over(store, broker, settings=settings, clock=system_clock) as client:
            sabotage = Sabotage(stage, faults, observed_store, observed_broker)
            yield OnServers(life, client, sabotage, store, broker)
    finally:
        await life.close(5.0)
        await close_pair(store, broker)


SetUp = Callable[[App], AbstractAsyncContextManager[Scene]]
"""Opens a scene for an app: the fixture `set_up`."""
