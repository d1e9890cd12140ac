"""Services with broker users of their own: what one may not publish, a process of the owning service does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from pavane import App, Client, Context, Event, Service, Settings, UndoContext, Workflow
from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.store import MemoryStore
from pavane.ports.broker import Address, Broker, Forbidden, Message, ToSubscribers
from pavane.runtime.clock import SystemClock
from pavane.runtime.process import Process


class Placed(Event, name="takeover.placed"):
    order: str


class Reserved(Event, name="takeover.reserved"):
    order: str


class Charged(Event, name="takeover.charged"):
    order: str


class Declined(Event, name="takeover.declined"):
    order: str


orders = Workflow(
    "orders",
    starts_with=Placed,
    run_id=lambda order: order.order,
    completes_with=[Charged],
    fails_with=[Declined],
)
UNDONE: list[str] = []
stock, payments = Service("stock"), Service("payments")


async def release(ctx: UndoContext[None], order: Placed, done: Reserved | None) -> None:
    UNDONE.append(order.order)


@stock.queue_worker("reserve").compensate_with(release)
async def reserve(ctx: Context[None], order: Placed) -> Reserved:
    return Reserved(order=order.order)


@payments.queue_worker("charge")
async def charge(ctx: Context[None], stock: Reserved) -> Charged | Declined:
    return Declined(order=stock.order)


app = App(services=[stock, payments], workflows=[orders])


@dataclass
class Rights:
    """A broker as one service's user has it. What was refused is noted."""

    broker: MemoryBroker
    service: str
    events: frozenset[str]
    refused: list[str] = field(default_factory=list[str])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)

    async def publish(self, message: Message, to: Address) -> None:
        may = to.event in self.events if isinstance(to, ToSubscribers) else f".{self.service}." in to.queue
        if not may:
            target = to.event if isinstance(to, ToSubscribers) else to.queue
            self.refused.append(target)
            raise Forbidden(target)
        await self.broker.publish(message, to)


@dataclass
class Floor:
    """Both services, each in a process of its own with its own rights, over one pair in memory."""

    settings: Settings
    store: MemoryStore
    broker: MemoryBroker
    clock: SystemClock

    def client(self, broker: Broker | None = None) -> Client:
        broker = broker or self.broker
        return Client.over(self.store, broker, settings=self.settings, clock=self.clock)

    @asynccontextmanager
    async def running(self, service: str, *events: str) -> AsyncGenerator[Rights]:
        rights = Rights(self.broker, service, frozenset(events))
        broker = cast("Broker", rights)
        chosen = app.choose((service,))
        process: Process = app.process(self.store, broker, self.settings, self.clock, only=chosen)
        await process.start()
        try:
            yield rights
        finally:
            await process.stop(1)


@pytest.fixture
async def floor() -> Floor:
    UNDONE.clear()
    clock = SystemClock()
    found = Floor(Settings(), MemoryStore(clock, shards=2), MemoryBroker(clock), clock)
    await found.broker.open()
    await app.prepare(found.store, found.broker, found.settings)
    return found


async def test_the_undo_of_another_service_is_published_by_that_service(floor: Floor) -> None:
    async with (
        floor.client() as client,
        floor.running("stock", "takeover.reserved"),
        floor.running("payments", "takeover.declined") as pay,
    ):
        run = await client.start(orders, Placed(order="1"))
        assert (await run.wait(10)).status == "compensated"
    assert UNDONE == ["1"]
    assert pay.refused == ["pavane.undo.stock.reserve"]


async def test_what_was_left_waits_for_the_service_to_come_back(floor: Floor) -> None:
    async with floor.client() as client:
        async with floor.running("stock", "takeover.reserved"):
            run = await client.start(orders, Placed(order="1"))
            while not (await run.status()).steps.get("committed"):
                await floor.clock.sleep(5)
        async with floor.running("payments", "takeover.declined") as pay:
            while not pay.refused:
                await floor.clock.sleep(5)
        async with floor.running("stock", "takeover.reserved") as back:
            assert (await run.wait(10)).status == "compensated"
    assert (UNDONE, back.refused) == (["1"], [])


async def test_an_event_from_outside_is_published_by_a_service_that_may(floor: Floor) -> None:
    """The client's user may not, which it should; its row is not lost, and the receivers know it."""
    outside = cast("Broker", Rights(floor.broker, "outside", frozenset()))
    async with (
        floor.client(outside) as client,
        floor.running("stock", "takeover.reserved", "takeover.placed"),
        floor.running("payments", "takeover.declined"),
    ):
        run = await client.start(orders, Placed(order="1"))
        assert (await run.wait(10)).status == "compensated"


async def test_a_right_of_its_own_that_is_missing_is_waited_for(floor: Floor) -> None:
    async with floor.client() as client, floor.running("stock") as robbed:
        run = await client.start(orders, Placed(order="1"))
        while robbed.refused.count("takeover.reserved") < 2:
            await floor.clock.sleep(5)
        robbed.events = frozenset({"takeover.reserved"})
        async with floor.running("payments", "takeover.declined"):
            assert (await run.wait(10)).status == "compensated"
