"""What the broker suite asks of declaring a topology."""

from __future__ import annotations

import asyncio
import secrets
from random import Random

import pytest

from pavane.core.topology import Topology, WorkerTopology
from pavane.errors import TopologyMismatch
from pavane.ports.broker import (
    Broker,
    Delivery,
    Message,
    QueueCount,
    ToDeadLetters,
    ToQueue,
    Unroutable,
)
from pavane.testing.conformance.broker_stage import BrokerSuite, Stage, new_service


class Declaring(BrokerSuite):
    """A plan changes nothing, a mismatch is left as it is."""

    async def test_a_plan_names_what_is_missing_and_creates_nothing(self, broker: Broker) -> None:
        stage = Stage.plan(broker, self.namespace, service=new_service())
        changes = await broker.plan(stage.topology)
        created = {change.name for change in changes if change.action == "create"}
        assert {stage.first, stage.second, stage.undo, stage.letters, stage.intake} <= created
        assert await broker.count([stage.first, stage.intake]) == [None, None]
        assert await broker.plan(stage.topology) == changes

    async def test_declaring_does_what_was_planned_and_then_nothing(self, broker: Broker) -> None:
        stage = Stage.plan(broker, self.namespace, service=new_service())
        planned = await broker.plan(stage.topology)
        assert await broker.declare(stage.topology) == planned
        assert await broker.plan(stage.topology) == []
        await stage.emit(b"kept")
        assert await broker.declare(stage.topology) == []
        await stage.until_ready(stage.first, 1)

    async def test_a_mismatch_is_explained_and_nothing_is_changed(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await broker.publish(Message(b"letter"), ToDeadLetters(stage.letters))
        third = f"third_{stage.workers[1]}"
        wanted = Topology(
            self.namespace,
            (
                WorkerTopology(stage.service, stage.workers[1], (stage.event,), max_dead_letters=7),
                WorkerTopology(stage.service, third, (stage.event,)),
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
        assert await broker.count([wanted.names.queue(stage.service, third)]) == [None]
        await stage.until_ready(stage.letters, 1)

    async def test_a_queue_unsubscribed_gets_the_event_no_longer(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        await broker.unsubscribe(stage.first, stage.event)
        await broker.unsubscribe(stage.first, stage.event)
        await stage.emit(b"for the second")
        await stage.until_ready(stage.second, 1)
        assert await broker.count([stage.first]) == [QueueCount(stage.first, 0, 0)]

    async def test_an_event_is_removed_only_when_it_goes_to_no_queue(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        other = f"{stage.event}_not"
        assert await broker.known_events([stage.event, other]) == [True, False]
        assert await broker.remove_event(other)
        assert not await broker.remove_event(stage.event)
        await broker.unsubscribe(stage.first, stage.event)
        assert not await broker.remove_event(stage.event)
        await stage.emit(b"for the second")
        await stage.until_ready(stage.second, 1)
        await broker.unsubscribe(stage.second, stage.event)
        assert await broker.remove_event(stage.event)
        assert await broker.known_events([stage.event]) == [False]

    async def test_a_queue_is_removed_only_when_nothing_is_in_it_and_nobody_consumes(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        await stage.emit(b"waits")
        await stage.until_ready(stage.first, 1)
        in_the_way = await broker.remove(stage.first, (stage.event,))
        assert in_the_way == QueueCount(stage.first, 1, 0)
        deliveries: list[Delivery] = []
        subscription = await broker.consume(stage.first, prefetch=1, receive=deliveries.append)
        in_the_way = await broker.remove(stage.first, (stage.event,))
        assert in_the_way is not None
        assert in_the_way.consumers == 1
        await subscription.close()
        await stage.until_ready(stage.first, 1)
        # What had to stay is reached as before, by event and by name.
        await stage.emit(b"comes too")
        await broker.publish(Message(b"and this"), ToQueue(stage.first))
        await stage.until_ready(stage.first, 3)

    async def test_a_removed_queue_is_gone_and_nothing_leads_to_it(self, broker: Broker) -> None:
        stage = await Stage.build(broker, self.namespace)
        for queue in (stage.first, stage.undo, stage.letters):
            assert await broker.remove(queue, (stage.event,)) is None
            assert await broker.remove(queue, (stage.event,)) is None
        assert await broker.count([stage.first, stage.undo, stage.letters]) == [None] * 3
        await stage.emit(b"for the second")
        await stage.until_ready(stage.second, 1)
        with pytest.raises(Unroutable):
            await broker.publish(Message(b"job"), ToQueue(stage.first))
        with pytest.raises(Unroutable):
            await broker.publish(Message(b"letter"), ToDeadLetters(stage.letters))

    async def test_a_message_that_comes_while_its_queue_is_removed_is_kept_or_refused(
        self, broker: Broker
    ) -> None:
        stage = await Stage.build(broker, self.namespace)
        seed = secrets.randbits(32)
        random = Random(seed)
        for _ in range(10):
            await broker.declare(stage.topology)
            pauses = random.uniform(0, 0.02), random.uniform(0, 0.02)
            is_kept, in_the_way = await asyncio.gather(
                self._published_after(pauses[0], broker, stage.first),
                self._removed_after(pauses[1], broker, stage.first),
            )
            assert is_kept == (in_the_way is not None), f"seed {seed}"
            if is_kept:
                await stage.until_ready(stage.first, 1)
                delivery = await broker.get(stage.first)
                assert delivery is not None
                delivery.ack()

    async def _published_after(self, pause: float, broker: Broker, queue: str) -> bool:
        await asyncio.sleep(pause)
        try:
            await broker.publish(Message(b"job"), ToQueue(queue))
        except Unroutable:
            return False
        return True

    async def _removed_after(self, pause: float, broker: Broker, queue: str) -> QueueCount | None:
        await asyncio.sleep(pause)
        return await broker.remove(queue)
