"""What the broker suite asks of replacing a queue by one with other arguments."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pavane.core.topology import Topology, WorkerTopology
from pavane.errors import Overloaded, TopologyMismatch, UsageError
from pavane.ports.broker import Broker, Message, ToDeadLetters, TopologyChange
from pavane.testing.conformance.broker_stage import BrokerSuite, Inbox, Stage


class Migrating(BrokerSuite):
    """The new queue has what the old one had, and what came meanwhile; nobody has to stop for it."""

    async def test_a_migrated_queue_is_as_wanted_and_has_its_messages_in_order(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        wanted = allowing(stage, 5)
        letters = [Message(b"%d" % n, {"pavane-n": n, "half": n / 2, "text": "ä"}) for n in range(3)]
        await self._send(stage, letters)
        done = await migrated(broker, stage.letters, wanted)
        assert {change.action for change in done} >= {"create", "delete"}
        assert [change for change in await broker.plan(wanted) if change.action == "mismatch"] == []
        await self._send(stage, [Message(b"one more than the old one held")])
        for letter in letters:
            delivery = await broker.get(stage.letters)
            assert delivery is not None
            found = delivery.message
            assert (found.body, found.headers, found.content_type) == (
                letter.body,
                letter.headers,
                letter.content_type,
            )
            assert (delivery.delivery_count, delivery.problem) == (0, None)
            delivery.ack()

    async def test_a_subscription_goes_on_while_its_queue_is_migrated(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        inbox = Inbox(settle=False)
        subscription = await broker.consume(stage.letters, prefetch=2, receive=inbox.receive)
        await self._send(stage, [Message(b"1"), Message(b"2")])
        in_hand = await inbox.holds(2)
        migration = asyncio.create_task(migrated(broker, stage.letters, allowing(stage, 9)))
        await asyncio.sleep(0)
        await self._send(stage, [Message(b"3")])
        inbox.settle = True
        for delivery in in_hand:
            delivery.ack()
        await migration
        await self._send(stage, [Message(b"4")])
        # What is published on the way may come twice; what was in hand comes no second time.
        while set(inbox.bodies) != {b"1", b"2", b"3", b"4"}:
            await inbox.holds(len(inbox.deliveries) + 1)
        assert inbox.bodies[:2] == [b"1", b"2"]
        assert inbox.bodies.count(b"1") == inbox.bodies.count(b"2") == 1
        assert {delivery.queue for delivery in inbox.deliveries} == {stage.letters}
        assert subscription.ready
        await subscription.close()

    async def test_what_is_as_wanted_is_left_and_what_cannot_be_is_refused(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        assert await migrated(broker, stage.letters, stage.topology) == []
        await self._send(stage, [Message(b"1"), Message(b"2")])
        with pytest.raises(Overloaded):
            await migrated(broker, stage.letters, allowing(stage, 1))
        await stage.until_ready(stage.letters, 2)
        with pytest.raises(UsageError):
            await migrated(broker, f"{stage.letters}.moved", stage.topology)
        planned = Stage.plan(broker, self.namespace)
        with pytest.raises(TopologyMismatch):
            await migrated(broker, planned.letters, planned.topology)

    async def _send(self, stage: Stage, letters: Sequence[Message]) -> None:
        for letter in letters:
            await stage.broker.publish(letter, ToDeadLetters(stage.letters))


def allowing(stage: Stage, letters: int) -> Topology:
    """The stage's topology with room for another number of letters."""
    first, second = stage.topology.workers
    changed = WorkerTopology(second.service, second.worker, second.events, max_dead_letters=letters)
    return Topology(stage.topology.namespace, (first, changed))


async def migrated(broker: Broker, queue: str, wanted: Topology) -> list[TopologyChange]:
    """Migrate to the end; what was changed."""
    steps = [step async for step in broker.migrate(queue, wanted)]
    return [step for step in steps if isinstance(step, TopologyChange)]
