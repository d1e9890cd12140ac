"""What the broker suite asks of publishing."""

from __future__ import annotations

import asyncio

import pytest

from pavane.errors import Overloaded, TooLarge
from pavane.ports.broker import (
    Broker,
    HeaderValue,
    Message,
    QueueCount,
    ToDeadLetters,
    ToQueue,
    ToSubscribers,
    Unroutable,
)
from pavane.testing.conformance.broker_stage import BrokerSuite, Inbox, Stage, new_service


class Publishing(BrokerSuite):
    """Every publish is kept, refused or unroutable; never lost, never altered."""

    async def test_an_event_reaches_the_queue_of_every_subscriber_once(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        first, second = Inbox(), Inbox()
        await broker.consume(stage.first, prefetch=10, receive=first.receive)
        await broker.consume(stage.second, prefetch=10, receive=second.receive)
        await stage.emit(b"1", b"2", b"3")
        await first.holds(3)
        await second.holds(3)
        assert sorted(first.bodies) == sorted(second.bodies) == [b"1", b"2", b"3"]
        assert await broker.count([stage.first, stage.second, stage.undo]) == [
            QueueCount(stage.first, 0, 1),
            QueueCount(stage.second, 0, 1),
            QueueCount(stage.undo, 0, 0),
        ]

    async def test_an_event_that_nobody_subscribes_to_is_unroutable(self, broker: Broker) -> None:
        await Stage.build(broker, self.namespace)
        with pytest.raises(Unroutable, match=r"nobody\.listens"):
            await broker.publish(Message(b"{}"), ToSubscribers("nobody.listens"))

    async def test_a_queue_that_does_not_exist_is_unroutable(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        nobodys = stage.topology.names.queue("nobody", "works")
        for address in (
            ToQueue(f"{stage.first}_x"),
            ToDeadLetters(f"{stage.letters}_x"),
            ToQueue(nobodys),
            ToDeadLetters(nobodys),
            ToQueue("no_such_queue"),
        ):
            with pytest.raises(Unroutable):
                await broker.publish(Message(b"{}"), address)

    async def test_what_has_no_way_costs_nothing_that_is_under_way(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        outcomes = await asyncio.gather(
            *(
                broker.publish(Message(b"%d" % number), ToSubscribers(event))
                for number in range(30)
                for event in (stage.event, f"nobody.listens_{number}")
            ),
            return_exceptions=True,
        )
        assert outcomes[::2] == [None] * 30
        assert {type(outcome) for outcome in outcomes[1::2]} == {Unroutable}
        await stage.until_ready(stage.first, 30)

    async def test_an_event_is_known_as_soon_as_somebody_has_declared_it(self, broker: Broker) -> None:
        stage = Stage.plan(broker, self.namespace)
        with pytest.raises(Unroutable):
            await stage.emit(b"before")
        await broker.declare(stage.topology)
        await stage.emit(b"after")
        await stage.until_ready(stage.first, 1)

    async def test_jobs_and_dead_letters_cannot_be_sent_to_each_others_queues(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        for address in (ToQueue(stage.letters), ToDeadLetters(stage.first)):
            with pytest.raises(Unroutable):
                await broker.publish(Message(b"{}"), address)

    async def test_a_message_to_a_queue_reaches_that_queue_only(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace, service=new_service())
        parked = stage.topology.names.parked
        before = await stage.ready(parked)
        for queue in (stage.first, stage.undo, stage.intake):
            await broker.publish(Message(b"{}"), ToQueue(queue))
        for queue in (stage.letters, stage.letters, parked):
            await broker.publish(Message(b"{}"), ToDeadLetters(queue))
        expected = {stage.first: 1, stage.undo: 1, stage.intake: 1, stage.letters: 2, stage.second: 0}
        for queue, number in {**expected, parked: before + 1}.items():
            await stage.until_ready(queue, number)

    @pytest.mark.parametrize(
        "body", [b"", bytes(range(256)), b"\xff\xfe", b"x" * 200_000], ids=["empty", "binary", "bom", "large"]
    )
    async def test_a_body_arrives_byte_for_byte(self, broker: Broker, body: bytes) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(body)
        [delivery] = await inbox.holds(1)
        assert delivery.message.body == body
        assert (delivery.queue, delivery.delivery_count) == (stage.first, 0)
        assert (delivery.source_queue, delivery.problem) == (None, None)

    async def test_headers_arrive_with_value_and_type(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        headers: dict[str, HeaderValue] = {
            "text": "żółć 🦆",
            "empty": "",
            "yes": True,
            "no": False,
            "zero": 0,
            "negative": -5,
            "large": 2**62,
            "fraction": 0.1,
            "cloudEvents_id": "a:b/c",
        }
        await broker.publish(Message(b"{}", headers, content_type=None), ToSubscribers(stage.event))
        [delivery] = await inbox.holds(1)
        arrived = delivery.message.headers
        assert arrived == headers
        assert {name: type(value) for name, value in arrived.items()} == {
            name: type(value) for name, value in headers.items()
        }
        assert delivery.message.content_type is None

    async def test_headers_of_the_brokers_own_are_not_published(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        headers: dict[str, HeaderValue] = {"x-death": "forged", "x-delivery-count": 7, "kept": "yes"}
        await broker.publish(Message(b"{}", headers), ToSubscribers(stage.event))
        [delivery] = await inbox.holds(1)
        assert delivery.message.headers == {"kept": "yes"}
        assert (delivery.delivery_count, delivery.source_queue) == (0, None)

    async def test_a_body_over_the_limit_is_too_large(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await stage.emit(b"x" * self.max_body)
        with pytest.raises(TooLarge):
            await stage.emit(b"x" * (self.max_body + 1))
        await stage.until_ready(stage.first, 1)

    async def test_letters_and_copies_of_what_somebody_else_sent_have_no_limit(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        stranger = Message(b"x" * (self.max_body + 1), {"long": "x" * 100_000})
        await broker.publish(stranger, ToQueue(stage.first))
        await broker.publish(stranger, ToQueue(stage.first, delay=250))
        await broker.publish(stranger, ToDeadLetters(stage.letters))
        await broker.consume(stage.first, prefetch=2, receive=inbox.receive)
        await self.pass_time(250)
        letter = await broker.get(stage.letters)
        assert letter is not None
        letter.ack()
        for arrived in (*await inbox.holds(2), letter):
            assert (arrived.message.body, arrived.message.headers) == (stranger.body, stranger.headers)

    async def test_many_publishes_at_once_all_arrive_once(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=50, receive=inbox.receive)
        bodies = [b"%03d" % number for number in range(500)]
        await asyncio.gather(*(broker.publish(Message(body), ToQueue(stage.first)) for body in bodies))
        await inbox.holds(500)
        assert sorted(inbox.bodies) == bodies

    async def test_each_of_many_publishes_learns_its_own_outcome(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        addresses = [ToQueue(stage.first if number % 3 else f"{stage.first}_x") for number in range(60)]
        outcomes = await asyncio.gather(
            *(broker.publish(Message(b"{}"), address) for address in addresses), return_exceptions=True
        )
        unroutable = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Unroutable)]
        assert unroutable == list(range(0, 60, 3))
        assert [
            outcome for outcome in outcomes if outcome is not None and not isinstance(outcome, Unroutable)
        ] == []

    async def test_a_full_queue_refuses_and_keeps_what_it_has(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        accepted, refusal = 0, None
        # A broker may notice a little late that a queue is full; RabbitMQ does.
        while refusal is None and accepted < 100:
            refusal = await self._publish_letter(stage)
            accepted += refusal is None
        assert refusal is not None
        assert refusal.worker == f"{stage.service}.{stage.workers[1]}"
        assert accepted >= 3
        await stage.until_ready(stage.letters, accepted)

    async def _publish_letter(self, stage: Stage) -> Overloaded | None:
        try:
            await stage.broker.publish(Message(b"letter"), ToDeadLetters(stage.letters))
        except Overloaded as refusal:
            return refusal
        return None
