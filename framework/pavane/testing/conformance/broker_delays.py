"""What the broker suite asks of delays."""

from __future__ import annotations

import pytest

from pavane.ports.broker import Broker, Delivery, Message, ToQueue
from pavane.testing.conformance.broker_stage import BrokerSuite, Inbox, Stage


class Delaying(BrokerSuite):
    """A delay is never cut short, and none holds up another."""

    @pytest.mark.parametrize(("delay", "at_least"), [(1, 250), (250, 250), (600, 750), (1000, 1000)])
    async def test_a_delay_is_never_cut_short(self, broker: Broker, delay: int, at_least: int) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        arrivals: list[int] = []

        def note_when(delivery: Delivery) -> None:
            arrivals.append(self.now())
            inbox.receive(delivery)

        await broker.consume(stage.first, prefetch=1, receive=note_when)
        before = self.now()
        await broker.publish(Message(b"later"), ToQueue(stage.first, delay))
        for _ in range(4):
            await self.pass_time(250)
        [delivery] = await inbox.holds(1)
        assert arrivals[0] - before >= at_least
        assert delivery.source_queue is None

    async def test_a_shorter_delay_overtakes_a_longer_one(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=10, receive=inbox.receive)
        for delay in (1500, 250, 750, 0):
            await broker.publish(Message(b"%d" % delay), ToQueue(stage.first, delay))
        for _ in range(6):
            await self.pass_time(250)
        await inbox.holds(4)
        assert inbox.bodies == [b"0", b"250", b"750", b"1500"]

    async def test_a_delivery_can_be_delayed_again_and_again(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(b"job")
        for times in range(1, 4):
            latest = (await inbox.holds(times))[-1]
            await broker.publish(latest.message, ToQueue(stage.first, 250))
            await self.pass_time(250)
        deliveries = await inbox.holds(4)
        assert [delivery.message for delivery in deliveries] == [deliveries[0].message] * 4

    async def test_a_delayed_message_survives_the_publishers_connection(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await broker.publish(Message(b"later"), ToQueue(stage.undo, 500))
        await broker.close()
        await broker.open()
        await self.pass_time(500)
        await stage.until_ready(stage.undo, 1)
