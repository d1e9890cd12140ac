"""What the broker suite asks of consuming."""

from __future__ import annotations

import asyncio

import pytest

from pavane.core.topology import DELIVERY_LIMIT
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Broker, Delivery, Message, QueueCount, ToQueue
from pavane.testing.conformance.broker_stage import BrokerSuite, Inbox, Stage, new_service


class Consuming(BrokerSuite):
    """Prefetch holds, what was not settled comes again, what was settled does not."""

    async def test_at_most_prefetch_messages_are_unsettled(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        await broker.consume(stage.first, prefetch=2, receive=inbox.receive)
        await stage.emit(*(b"%d" % number for number in range(5)))
        deliveries = await inbox.holds(2)
        await stage.until_ready(stage.first, 3)
        assert len(inbox.deliveries) == 2
        deliveries[1].ack()
        await inbox.holds(3)
        await stage.until_ready(stage.first, 2)
        assert len(inbox.deliveries) == 3

    async def test_a_raised_prefetch_lets_more_come(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(*(b"%d" % number for number in range(6)))
        await inbox.holds(1)
        await subscription.set_prefetch(4)
        await inbox.holds(4)
        assert len(inbox.deliveries) == 4
        inbox.deliveries[3].ack()
        await inbox.holds(5)
        assert subscription.ready

    async def test_a_lowered_prefetch_lets_none_come_until_there_is_room(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=3, receive=inbox.receive)
        await stage.emit(*(b"%d" % number for number in range(6)))
        await inbox.holds(3)
        await subscription.set_prefetch(1)
        for expected, delivery in enumerate(inbox.deliveries[:3], start=1):
            assert len(inbox.deliveries) == 3, f"one came while {4 - expected} were out"
            delivery.ack()
        await inbox.holds(4)
        inbox.deliveries[3].ack()
        await inbox.holds(5)
        assert len(inbox.deliveries) == 5

    async def test_what_was_not_settled_comes_again_and_is_counted(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await stage.emit(b"job")
        for times in range(3):
            inbox = Inbox(settle=False)
            subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
            [delivery] = await inbox.holds(1)
            assert (delivery.message.body, delivery.delivery_count) == (b"job", times)
            await subscription.close()

    async def test_what_was_settled_never_comes_again(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=10, receive=inbox.receive)
        await stage.emit(*(b"%d" % number for number in range(6)))
        deliveries = await inbox.holds(6)
        for index in (4, 1, 0, 3, 3):  # out of order, and one of them twice
            deliveries[index].ack()
        await subscription.close()
        await subscription.close()
        deliveries[2].ack()  # too late: it went back
        again = Inbox()
        await broker.consume(stage.first, prefetch=10, receive=again.receive)
        await again.holds(2)
        await stage.until_ready(stage.first, 0)
        assert sorted(again.bodies) == [deliveries[2].message.body, deliveries[5].message.body]

    async def test_nothing_is_delivered_after_cancel_and_the_rest_can_be_settled(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
        await stage.emit(b"before")
        [delivery] = await inbox.holds(1)
        await subscription.cancel()
        assert not subscription.ready
        await stage.emit(b"after")
        await stage.until_ready(stage.first, 1)
        delivery.ack()
        await subscription.close()
        await stage.until_ready(stage.first, 1)
        assert inbox.bodies == [b"before"]

    async def test_two_subscriptions_share_a_queue(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        one, two = Inbox(settle=False), Inbox(settle=False)
        await broker.consume(stage.first, prefetch=5, receive=one.receive)
        await broker.consume(stage.first, prefetch=5, receive=two.receive)
        bodies = [b"%d" % number for number in range(10)]
        await stage.emit(*bodies)
        await one.holds(5)
        await two.holds(5)
        assert sorted(one.bodies + two.bodies) == bodies
        assert await broker.count([stage.first]) == [QueueCount(stage.first, 0, 2)]

    async def test_what_comes_back_too_often_goes_to_the_intake(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace, service=new_service())
        # Over the wheel: its hops must not be taken for the queue that gave up.
        await broker.publish(Message(b"poison", {"run": "r"}), ToQueue(stage.first, 250))
        await self.pass_time(250)
        deliveries = 0
        while True:
            await stage.until_any_waits(stage.first, stage.intake)
            if await stage.ready(stage.intake):
                break
            inbox = Inbox(settle=False)
            subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
            await inbox.holds(1)
            deliveries += 1
            await subscription.close()
        assert DELIVERY_LIMIT <= deliveries <= DELIVERY_LIMIT + 1
        taken = await broker.get(stage.intake)
        assert taken is not None
        assert taken.source_queue == stage.first
        assert (taken.message.body, dict(taken.message.headers)) == (b"poison", {"run": "r"})
        taken.ack()

    async def test_one_message_can_be_taken_without_subscribing(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        assert await broker.get(stage.first) is None
        await stage.emit(b"1", b"2")
        taken = await broker.get(stage.first)
        assert taken is not None
        assert (taken.message.body, taken.queue) == (b"1", stage.first)
        taken.ack()
        unsettled = await broker.get(stage.first)
        assert unsettled is not None
        assert unsettled.message.body == b"2"
        assert await broker.get(stage.first) is None
        await broker.give_back()
        again = await broker.get(stage.first)
        assert again is not None
        assert (again.message.body, again.delivery_count) == (b"2", 1)
        await broker.close()
        await broker.open()
        await stage.until_ready(stage.first, 1)

    async def test_so_many_are_taken_as_are_wanted_and_no_other_counts_a_delivery(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        bodies = [str(number).encode() for number in range(700)]
        await asyncio.gather(*(stage.emit(body) for body in bodies))
        await stage.until_ready(stage.first, len(bodies))
        taken: list[Delivery] = []
        for wanted in (1, 300, 300):
            batch = await broker.take(stage.first, wanted)
            assert len(batch) == wanted
            taken += batch
            for delivery in batch[::2]:
                delivery.ack()
        taken += await broker.take(stage.first, 300)
        assert [delivery.message.body for delivery in taken] == bodies
        assert await broker.take(stage.first, 10) == []
        assert {delivery.delivery_count for delivery in taken} == {0}
        for delivery in taken:
            delivery.ack()
        await broker.give_back()
        assert await broker.get(stage.first) is None

    async def test_consuming_a_queue_that_does_not_exist_fails(self, broker: Broker) -> None:
        await Stage.build(broker, self.namespace)
        with pytest.raises(BrokerUnavailable, match="no_such_queue"):
            await broker.consume("no_such_queue", prefetch=1, receive=Inbox().receive)

    async def test_a_queue_that_does_not_exist_has_no_count(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        counts = await broker.count(["no_such_queue", stage.first, "nor_this"])
        assert counts == [None, QueueCount(stage.first, 0, 0), None]
