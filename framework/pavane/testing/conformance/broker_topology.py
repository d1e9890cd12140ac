"""What the broker suite asks of declaring a topology."""

from __future__ import annotations

import pytest

from pavane.core.topology import Topology, WorkerTopology
from pavane.errors import TopologyMismatch
from pavane.ports.broker import Broker, Message, ToDeadLetters
from pavane.testing.conformance.broker_stage import BrokerSuite, Stage


class Declaring(BrokerSuite):
    """A plan changes nothing, a mismatch is left as it is."""

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
