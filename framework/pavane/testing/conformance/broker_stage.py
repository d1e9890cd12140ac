"""What the broker suite works with: a topology per test, inboxes, and waiting for something to be true."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from pavane.core.topology import Topology, WorkerTopology
from pavane.ports.broker import Broker, Delivery, Message, ToSubscribers

PATIENCE = 20.0
"""Seconds that anything expected may take. A passing test never waits that long."""


def new_service() -> str:
    """A service of which nothing is declared."""
    return f"s{secrets.token_hex(6)}"


class BrokerSuite:
    """What the parts of the suite share: where they work, and their clock."""

    pytestmark = pytest.mark.asyncio

    namespace: ClassVar[str] = "conformance"
    max_body: ClassVar[int] = 262_144

    def now(self) -> int:
        """Milliseconds on the clock that delays follow."""
        return time.monotonic_ns() // 1_000_000

    async def pass_time(self, duration: int) -> None:
        """Let `duration` milliseconds pass on that clock."""
        await asyncio.sleep(duration / 1000)


async def eventually(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until `holds` answers true; fail after `PATIENCE`, naming `what` did not come."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not await holds():  # noqa: ASYNC110 - nobody could set an event: it is the broker that changes
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} s: {what}") from None


@dataclass
class Inbox:
    """Receives deliveries, in order; pass `receive` to `Broker.consume`.

    Attributes:
        settle: acknowledge each at once.
        deliveries: what was received so far.
    """

    settle: bool = True
    deliveries: list[Delivery] = field(default_factory=list[Delivery])
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def bodies(self) -> list[bytes]:
        return [delivery.message.body for delivery in self.deliveries]

    def receive(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        self._arrived.set()
        if self.settle:
            delivery.ack()

    async def holds(self, number: int) -> list[Delivery]:
        """Wait until `number` deliveries have arrived; returns all there are."""
        try:
            async with asyncio.timeout(PATIENCE):
                while len(self.deliveries) < number:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(
                f"{number} deliveries expected, {len(self.deliveries)} came in {PATIENCE:g} s: {self.bodies}"
            ) from None
        return list(self.deliveries)


@dataclass(frozen=True)
class Stage:
    """Two workers of a service, the first one with undo, that subscribe to the same event.

    Workers and event have names that no other test uses, so that tests can share the service and its delay wheel.
    The second worker may have three dead letters.
    """

    broker: Broker
    topology: Topology
    event: str

    @classmethod
    async def build(cls, broker: Broker, namespace: str, *, service: str = "stage") -> Stage:
        """Declare the topology of a new stage."""
        stage = cls.plan(broker, namespace, service=service)
        await broker.declare(stage.topology)
        return stage

    @classmethod
    def plan(cls, broker: Broker, namespace: str, *, service: str = "stage") -> Stage:
        """A new stage of which nothing is declared but, where tests share it, its service."""
        own = secrets.token_hex(6)
        event = f"e{own}.happened"
        workers = (
            WorkerTopology(service, f"first_{own}", (event,), undo=True),
            WorkerTopology(service, f"second_{own}", (event,), max_dead_letters=3),
        )
        return cls(broker, Topology(namespace, workers), event)

    @property
    def service(self) -> str:
        return self.topology.workers[0].service

    @property
    def workers(self) -> tuple[str, str]:
        """Names of the two workers."""
        first, second = self.topology.workers
        return first.worker, second.worker

    @property
    def first(self) -> str:
        return self.topology.names.queue(self.service, self.workers[0])

    @property
    def second(self) -> str:
        return self.topology.names.queue(self.service, self.workers[1])

    @property
    def undo(self) -> str:
        return self.topology.names.undo_queue(self.service, self.workers[0])

    @property
    def letters(self) -> str:
        """The dead-letter queue that holds three at most."""
        return self.topology.names.dead_letter_queue(self.service, self.workers[1])

    @property
    def intake(self) -> str:
        return self.topology.names.intake(self.service)

    async def emit(self, *bodies: bytes) -> None:
        """Publish the stage's event, once for each body, one after the other."""
        for body in bodies:
            await self.broker.publish(Message(body), ToSubscribers(self.event))

    async def ready(self, queue: str) -> int:
        """Messages that wait in `queue`, which exists."""
        [count] = await self.broker.count([queue])
        assert count is not None, f"{queue} does not exist"
        return count.ready

    async def until_ready(self, queue: str, number: int) -> None:
        """Wait until exactly `number` messages wait in `queue`."""

        async def reached() -> bool:
            return await self.ready(queue) == number

        await eventually(f"{number} messages waiting in {queue}", reached)

    async def until_any_waits(self, *queues: str) -> None:
        """Wait until a message waits in one of `queues`."""

        async def reached() -> bool:
            return any([await self.ready(queue) for queue in queues])

        await eventually(f"a message waiting in one of {', '.join(queues)}", reached)
