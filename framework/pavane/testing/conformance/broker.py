"""The suite that says when a broker adapter is done. Each test is one sentence of the port's docstrings."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

import pytest

from pavane.core.topology import DELIVERY_LIMIT, Topology, WorkerTopology
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge, TopologyMismatch
from pavane.ports.broker import (
    Broker,
    Message,
    QueueCount,
    ToDeadLetters,
    ToQueue,
    ToSubscribers,
    Unroutable,
)
from pavane.testing.conformance.stage import Inbox, Stage


class BrokerConformance:
    """Subclass it, and define an async fixture `broker` that yields an opened `Broker` for `namespace`.

    The suite declares what it needs and never removes it: give it a broker of its own. An adapter on another
    clock than the machine's overrides `now` and `pass_time`; one with another limit for bodies `max_body`.
    """

    pytestmark = pytest.mark.asyncio

    namespace: ClassVar[str] = "conformance"
    max_body: ClassVar[int] = 262_144

    def now(self) -> int:
        """Milliseconds on the clock that delays follow."""
        return time.monotonic_ns() // 1_000_000

    async def pass_time(self, duration: int) -> None:
        """Let `duration` milliseconds pass on that clock."""
        await asyncio.sleep(duration / 1000)

    # --- publishing ---

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
        for address in (ToQueue(f"{stage.first}_x"), ToDeadLetters(f"{stage.letters}_x")):
            with pytest.raises(Unroutable):
                await broker.publish(Message(b"{}"), address)

    async def test_jobs_and_dead_letters_cannot_be_sent_to_each_others_queues(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        for address in (ToQueue(stage.letters), ToDeadLetters(stage.first)):
            with pytest.raises(Unroutable):
                await broker.publish(Message(b"{}"), address)

    async def test_a_message_to_a_queue_reaches_that_queue_only(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
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
        headers = {
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
        headers = {"x-death": "forged", "x-delivery-count": 7, "kept": "yes"}
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
        outcomes = [await self._publish_letter(stage) for _ in range(10)]
        refusals = [outcome for outcome in outcomes if outcome is not None]
        accepted = len(outcomes) - len(refusals)
        # A quorum queue notices that it is full a message or two late.
        assert 3 <= accepted <= 5
        assert {refusal.worker for refusal in refusals} == {f"{stage.service}.second"}
        await stage.until_ready(stage.letters, accepted)

    async def _publish_letter(self, stage: Stage) -> Overloaded | None:
        try:
            await stage.broker.publish(Message(b"letter"), ToDeadLetters(stage.letters))
        except Overloaded as refusal:
            return refusal
        return None

    # --- delays ---

    @pytest.mark.parametrize(("delay", "at_least"), [(1, 250), (250, 250), (600, 750), (1000, 1000)])
    async def test_a_delay_is_never_cut_short(self, broker: Broker, delay: int, at_least: int) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox()
        await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        before = self.now()
        await broker.publish(Message(b"later"), ToQueue(stage.first, delay))
        await self.pass_time(at_least)
        [delivery] = await inbox.holds(1)
        assert self.now() - before >= at_least
        assert delivery.source_queue is None

    async def test_nothing_is_delivered_before_its_delay(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        arrivals: list[int] = []
        inbox = Inbox()

        def receive_and_note(delivery: object) -> None:
            arrivals.append(self.now())
            inbox.receive(delivery)  # type: ignore[arg-type]

        await broker.consume(stage.first, prefetch=1, receive=receive_and_note)
        before = self.now()
        await broker.publish(Message(b"later"), ToQueue(stage.first, 750))
        for _ in range(3):
            await self.pass_time(250)
        await inbox.holds(1)
        assert arrivals[0] - before >= 750

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

    # --- consuming ---

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
        stage = await Stage.build(broker, self.namespace)
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
        await broker.close()
        await broker.open()
        await stage.until_ready(stage.first, 1)

    async def test_consuming_a_queue_that_does_not_exist_fails(self, broker: Broker) -> None:
        await Stage.build(broker, self.namespace)
        with pytest.raises(BrokerUnavailable, match="no_such_queue"):
            await broker.consume("no_such_queue", prefetch=1, receive=Inbox().receive)

    async def test_a_queue_that_does_not_exist_has_no_count(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        counts = await broker.count(["no_such_queue", stage.first, "nor_this"])
        assert counts == [None, QueueCount(stage.first, 0, 0), None]

    # --- opening and closing ---

    async def test_a_closed_broker_does_nothing_and_an_opened_one_has_everything(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await stage.emit(b"1", b"2")
        await inbox.holds(1)
        assert broker.connected
        await broker.close()
        await broker.close()
        assert not broker.connected
        assert not subscription.ready
        with pytest.raises(BrokerUnavailable):
            await stage.emit(b"3")
        with pytest.raises(BrokerUnavailable):
            await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
        await broker.open()
        await stage.until_ready(stage.first, 2)

    # --- topology ---

    async def test_a_plan_names_what_is_missing_and_creates_nothing(self, broker: Broker) -> None:
        stage = Stage.plan(broker, self.namespace)
        changes = await broker.plan(stage.topology)
        created = {change.name for change in changes if change.action == "create"}
        assert {stage.first, stage.second, stage.undo, stage.letters, stage.intake} <= created
        assert await broker.count([stage.first, stage.intake]) == [None, None]
        assert await broker.plan(stage.topology) == changes

    async def test_declaring_does_what_was_planned_and_then_nothing(self, broker: Broker) -> None:
        stage = Stage.plan(broker, self.namespace)
        planned = await broker.plan(stage.topology)
        assert await broker.declare(stage.topology) == planned
        assert await broker.plan(stage.topology) == []
        await stage.emit(b"kept")
        assert await broker.declare(stage.topology) == []
        await stage.until_ready(stage.first, 1)

    async def test_a_mismatch_is_explained_and_nothing_is_changed(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await broker.publish(Message(b"letter"), ToDeadLetters(stage.letters))
        wanted = Topology(
            self.namespace,
            (
                WorkerTopology(stage.service, "second", (stage.event,), max_dead_letters=7),
                WorkerTopology(stage.service, "third", (stage.event,)),
            ),
        )
        [mismatch] = [change for change in await broker.plan(wanted) if change.action == "mismatch"]
        assert (mismatch.kind, mismatch.name) == ("queue", stage.letters)
        assert (mismatch.current, mismatch.wanted) == ("3", "7")
        assert mismatch.argument is not None
        assert mismatch.remedy
        with pytest.raises(TopologyMismatch, match=stage.letters) as refusal:
            await broker.declare(wanted)
        assert refusal.value.remedy
        assert await broker.count([wanted.names.queue(stage.service, "third")]) == [None]
        await stage.until_ready(stage.letters, 1)
