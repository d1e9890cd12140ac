"""The broker port's guarantees in memory, by a clock that moves when told; and what only memory can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

import pytest

from pavane.adapters.memory.broker import MemoryBroker
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Broker, Message, ToQueue
from pavane.testing.conformance import BrokerConformance
from pavane.testing.conformance.broker_stage import Inbox, Stage

START = 1_767_225_600_000


@dataclass
class Alarm:
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class HandClock:
    """Moves only by `pass_time`, from alarm to alarm."""

    time: int = START
    alarms: list[tuple[int, int, Alarm]] = field(default_factory=list)
    order: count = field(default_factory=count)

    def now(self) -> int:
        return self.time

    def call_at(self, at: int, callback: Callable[[], None]) -> Alarm:
        alarm = Alarm(callback)
        heappush(self.alarms, (at, next(self.order), alarm))
        return alarm

    async def sleep(self, duration: int) -> None:
        raise AssertionError("the broker never sleeps")

    async def pass_time(self, duration: int) -> None:
        end = self.time + duration
        while self.alarms and self.alarms[0][0] <= end:
            at, _, alarm = heappop(self.alarms)
            self.time = max(self.time, at)
            if not alarm.cancelled:
                alarm.callback()
            await asyncio.sleep(0)
        self.time = end


class TestMemoryBroker(BrokerConformance):
    @pytest.fixture(autouse=True)
    def clock(self) -> HandClock:
        self._clock = HandClock()
        return self._clock

    @pytest.fixture
    async def broker(self, clock: HandClock) -> AsyncIterator[Broker]:
        broker = MemoryBroker(clock)
        await broker.open()
        yield broker
        await broker.close()

    def now(self) -> int:
        return self._clock.now()

    async def pass_time(self, duration: int) -> None:
        await self._clock.pass_time(duration)

    # --- what only memory can do ---

    async def test_nothing_is_delivered_inside_the_call_that_causes_it(self, broker: MemoryBroker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await stage.emit(b"waiting")
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        assert inbox.deliveries == []
        assert broker.deliverable == 1
        await asyncio.sleep(0)
        assert inbox.bodies == [b"waiting"]
        assert broker.deliverable == 0

    async def test_an_outage_gives_back_what_is_unsettled_and_ends_by_itself(
        self, broker: MemoryBroker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(b"job")
        [before] = await inbox.holds(1)
        broker.down = True
        assert not broker.connected
        assert not subscription.ready
        assert broker.deliverable == 0
        before.ack()
        with pytest.raises(BrokerUnavailable):
            await stage.emit(b"other")
        with pytest.raises(BrokerUnavailable):
            await broker.count([stage.first])
        broker.down = False
        assert subscription.ready
        after = (await inbox.holds(2))[1]
        assert (after.message.body, after.delivery_count) == (b"job", 1)

    async def test_an_event_can_be_made_to_arrive_twice(self, broker: MemoryBroker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
        broker.duplicate(stage.event, times=2)
        await stage.emit(b"1", b"2", b"3")
        await inbox.holds(5)
        assert inbox.bodies == [b"1", b"1", b"2", b"2", b"3"]
        assert await stage.ready(stage.second) == 5

    async def test_delays_follow_the_injected_clock_alone(
        self, broker: MemoryBroker, clock: HandClock
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        year = 365 * 24 * 3600 * 1000
        await broker.publish(Message(b"later"), ToQueue(stage.first, 1000))
        await clock.pass_time(999)
        assert await stage.ready(stage.first) == 0
        await clock.pass_time(1)
        assert await stage.ready(stage.first) == 1
        await clock.pass_time(year)
        assert await stage.ready(stage.first) == 1

    async def test_the_same_calls_give_the_same_deliveries(self) -> None:
        assert await deliveries_of_a_scenario() == await deliveries_of_a_scenario()


async def deliveries_of_a_scenario() -> list[tuple[str, bytes, int]]:
    """Two subscriptions, delays, returns and an outage; who got what, in order."""
    clock = HandClock()
    broker = MemoryBroker(clock)
    await broker.open()
    stage = await Stage.build(broker, "same")
    log: list[tuple[str, bytes, int]] = []

    def receiver(name: str, *, settles: bool):
        def receive(delivery):
            log.append((name, delivery.message.body, delivery.delivery_count))
            if settles or delivery.delivery_count > 1:
                delivery.ack()

        return receive

    one = await broker.consume(stage.first, prefetch=2, receive=receiver("one", settles=False))
    await broker.consume(stage.first, prefetch=3, receive=receiver("two", settles=True))
    await stage.emit(*(b"%d" % number for number in range(8)))
    for delay in (750, 250, 250, 500):
        await broker.publish(Message(b"after %d" % delay), ToQueue(stage.first, delay))
    await clock.pass_time(500)
    broker.down = True
    broker.down = False
    await clock.pass_time(500)
    await one.close()
    await clock.pass_time(250)
    await asyncio.sleep(0)
    assert len(log) > 12
    return log
