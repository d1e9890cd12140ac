"""RabbitMQ as a world has it: the broker in memory, with a connection for each machine that can be lost.

What the wire adds: confirms that are lost, late or negative, publishes that arrive after their caller has given up or
twice, deliveries and acknowledgements on their way, channels that die with all that was unacknowledged, alarms that
block publishes, and a broker that takes a frozen machine's messages back when its heartbeats are missed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any

from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.queue import MemoryQueue, MemorySubscription, Unsettled
from pavane.core.topology import Topology
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge
from pavane.ports.broker import (
    Address,
    Delivery,
    Forbidden,
    Message,
    QueueCount,
    TopologyChange,
    ToSubscribers,
    Unroutable,
)
from tests.checker.collect import found_in, place_of
from tests.checker.evidence import Found
from tests.simulation.world.chances import Chances
from tests.simulation.world.link import Link, Server
from tests.simulation.world.loop import WORLD, Owner, WorldLoop, as_world, at_once
from tests.simulation.world.rights import Rights, everything

TIMEOUT = 3.0
"""Seconds that a publish waits for its confirm, as `settings.publish_timeout`."""

HEARTBEAT = 6.0
"""Seconds after which the broker drops a connection that it hears nothing of."""

RECONNECT = (0.2, 2.0)


class WheelClock:
    """What the wheel turns by: the world's clock, in the world's own context. Counts what is on the wheel."""

    def __init__(self, loop: WorldLoop, now: Callable[[], int]) -> None:
        self._loop = loop
        self.now = now
        self.waiting = 0

    def call_at(self, at: int, callback: Callable[[], None]) -> Any:
        self.waiting += 1
        return self._loop.call_later((at - self.now()) / 1000, self._ring, callback, context=WORLD)

    async def sleep(self, duration: int) -> None:
        await self._loop.sleep(duration / 1000)

    def _ring(self, callback: Callable[[], None]) -> None:
        self.waiting -= 1
        callback()


class BrokerServer(MemoryBroker, Server):
    """The one RabbitMQ."""

    def __init__(self, clock: WheelClock, *, max_body: int) -> None:
        MemoryBroker.__init__(self, clock, max_body=max_body)
        Server.__init__(self)
        self.wheel = clock
        self.on_the_way = 0
        """Messages that will arrive although nobody waits for their confirms any more."""
        at_once(self.open())

    def arrive(self, message: Message, to: Address) -> None:
        """Route a message that has arrived.

        Raises:
            Unroutable, Overloaded, TooLarge.
        """
        if isinstance(to, ToSubscribers) and len(message.body) > self._max_body:
            raise TooLarge(f"body of {len(message.body)} bytes, the limit is {self._max_body}")
        as_world(self._route, message, to)

    def queue(self, name: str) -> MemoryQueue:
        return self._existing(name)

    @property
    def queues(self) -> dict[str, MemoryQueue]:
        return self._queues

    def messages(self) -> list[Found]:
        """All that lies in queues; nothing is on the wheel when all is at rest."""
        return [
            found_in(place_of(name), name, stored.message)
            for name, queue in self._queues.items()
            for stored in (
                *queue._ready,
                *(one for each in queue.subscriptions for one in each.unsettled._out.values()),
            )
        ]

    @property
    def at_rest(self) -> bool:
        """Whether no job is in a queue, on the wheel, or with a consumer: letters may lie where they are."""
        return not self.restless()

    def restless(self) -> list[str]:
        """Queues in which a job is, a sentence each."""
        found = [f"{self.wheel.waiting} on the wheel"] if self.wheel.waiting else []
        found += [f"{self.on_the_way} on their way"] if self.on_the_way else []
        for name, queue in self._queues.items():
            out = sum(len(one.unsettled) for one in queue.subscriptions)
            if (queue.ready or out) and name.split(".")[1] in ("q", "undo", "intake"):
                found.append(f"{name}: {queue.ready} ready, {out} unacknowledged")
        return found


class SimulatedDelivery:
    """A delivery whose acknowledgement takes its time."""

    __slots__ = ("_ack", "delivery_count", "message", "problem", "queue", "source_queue")

    def __init__(self, inner: Delivery, ack: Callable[[Delivery], None]) -> None:
        self.message = inner.message
        self.queue = inner.queue
        self.delivery_count = inner.delivery_count
        self.source_queue = inner.source_queue
        self.problem = inner.problem
        self._ack: Callable[[], None] = lambda: ack(inner)

    def ack(self) -> None:
        self._ack()


class SimulatedSubscription:
    """A consumer on a channel of its own, which comes back by itself after channel and connection are gone."""

    def __init__(
        self, connection: BrokerConnection, queue: str, prefetch: int, receive: Callable[[Delivery], None]
    ) -> None:
        self.queue = queue
        self._connection = connection
        self._prefetch = prefetch
        self._receive = receive
        self._inner: MemorySubscription | None = None
        self._cancelled = False
        self.restore()

    @property
    def ready(self) -> bool:
        return self._inner is not None and not self._cancelled

    async def set_prefetch(self, prefetch: int) -> None:
        self._prefetch = prefetch
        if self._inner is not None:
            at_once(self._inner.set_prefetch(prefetch))

    async def cancel(self) -> None:
        self._cancelled = True
        if self._inner is not None:
            at_once(self._inner.cancel())

    async def close(self) -> None:
        self._cancelled = True
        self._connection.subscriptions.pop(self, None)
        self.lose()

    def lose(self) -> None:
        """The channel is gone: what was unacknowledged is back in the queue."""
        inner, self._inner = self._inner, None
        if inner is not None:
            at_once(inner.close())

    def restore(self) -> None:
        if self._inner is None and not self._cancelled and self._connection.connected:
            queue = self._connection.server.queue(self.queue)
            self._inner = as_world(self._subscribe, queue)

    def _subscribe(self, queue: MemoryQueue) -> MemorySubscription:
        return MemorySubscription(queue, prefetch=self._prefetch, receive=self._arrives)

    def _arrives(self, delivery: Delivery) -> None:
        self._connection.carry(delivery, self._receive, self)


class BrokerConnection:
    """`pavane.ports.Broker` for one machine.

    Attributes:
        subscriptions: its consumers; an ordered set.
    """

    def __init__(
        self,
        loop: WorldLoop,
        server: BrokerServer,
        link: Link,
        chances: Chances,
        owner: Owner,
        *,
        may: Rights = everything,
    ) -> None:
        self._may = may
        self._loop = loop
        self.server = server
        self._link = link
        self._chances = chances
        self._owner = owner
        self._open = False
        self._up = False
        self._taken: dict[str, Unsettled] = {}
        self.subscriptions: dict[SimulatedSubscription, None] = {}

    # its life

    @property
    def connected(self) -> bool:
        return self._up

    async def open(self) -> None:
        await self._loop.sleep(self._link.latency())
        if self._link.down:
            raise BrokerUnavailable("the connection is refused")
        self._open = self._up = True

    async def close(self) -> None:
        self._open = False
        self.lose()

    def lose(self) -> None:
        """The connection is gone, for whatever reason: all that was unacknowledged is back in its queues."""
        if not self._up:
            return
        self._up = False
        for subscription in list(self.subscriptions):
            subscription.lose()
        self._return_taken()
        if self._open:
            wait = max(0.0, self.server.down_until - self._loop.time()) + self._chances.between(*RECONNECT)
            self._loop.call_later(wait, self._reconnect, context=self._owner.context)

    def _reconnect(self) -> None:
        if self._open and not self._up:
            if self._link.down or self._link.silence() > 0:
                wait = self._chances.between(*RECONNECT)
                self._loop.call_later(wait, self._reconnect, context=self._owner.context)
                return
            self._up = True
            for subscription in list(self.subscriptions):
                subscription.restore()

    def lose_channel(self, subscription: SimulatedSubscription) -> None:
        """One channel dies; its consumer is set up again a little later."""
        subscription.lose()
        wait = self._chances.between(0.05, 1.0)
        self._loop.call_later(wait, subscription.restore, context=self._owner.context)

    # the port

    async def plan(self, topology: Topology) -> list[TopologyChange]:
        await self._ask()
        return at_once(self.server.plan(topology))

    async def declare(self, topology: Topology) -> list[TopologyChange]:
        await self._ask()
        return at_once(self.server.declare(topology))

    async def unsubscribe(self, queue: str, event: str) -> None:
        await self._ask()
        at_once(self.server.unsubscribe(queue, event))

    async def known_events(self, events: Sequence[str]) -> list[bool]:
        await self._ask()
        return at_once(self.server.known_events(events))

    async def remove_event(self, event: str) -> bool:
        await self._ask()
        return at_once(self.server.remove_event(event))

    def migrate(
        self, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        return self.server.migrate(queue, topology, events)

    async def remove(self, queue: str, events: Sequence[str] = ()) -> QueueCount | None:
        await self._ask()
        return at_once(self.server.remove(queue, events))

    async def count(self, queues: Sequence[str]) -> list[QueueCount | None]:
        await self._ask()
        return at_once(self.server.count(queues))

    async def consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> SimulatedSubscription:
        await self._ask()
        self.server.queue(queue)
        subscription = SimulatedSubscription(self, queue, prefetch, receive)
        self.subscriptions[subscription] = None
        return subscription

    async def get(self, queue: str) -> Delivery | None:
        await self._ask()
        there = self.server.queue(queue)
        if not there._ready:
            return None
        taken = self._taken.setdefault(queue, Unsettled(there))
        return SimulatedDelivery(taken.take(there._ready.popleft()), self._acknowledge)

    async def take(self, queue: str, limit: int) -> list[Delivery]:
        await self._ask()
        there = self.server.queue(queue)
        taken = self._taken.setdefault(queue, Unsettled(there))
        count = min(limit, len(there._ready))
        return [
            SimulatedDelivery(taken.take(there._ready.popleft()), self._acknowledge) for _ in range(count)
        ]

    async def give_back(self) -> None:
        await self._ask()
        self._return_taken()

    async def publish(self, message: Message, to: Address) -> None:
        link, chances = self._link, self._chances
        self._check()
        if not self._may(to):
            await self._loop.sleep(link.latency())
            self._chances.fired["publish.forbidden"] += 1
            raise Forbidden(to.event if isinstance(to, ToSubscribers) else to.queue)
        if chances.maybe("publish.lost"):
            await self._unconfirmed("the publish is lost")
        if chances.maybe("publish.nacked"):
            await self._loop.sleep(link.latency())
            raise BrokerUnavailable("the broker has refused it")
        wait = link.latency() + max(0.0, link.stuck())
        if wait > TIMEOUT or chances.maybe("publish.late"):
            late = max(wait, TIMEOUT * chances.between(0.5, 3))
            self.server.on_the_way += 1
            self._loop.call_later(late, self._arrives_late, message, to, context=WORLD)
            await self._unconfirmed("no confirm in time")
        await self._loop.sleep(wait)
        self._check()
        self.server.arrive(message, to)
        if chances.maybe("publish.twice"):
            self.server.arrive(message, to)
        if link.silence() > 0 or chances.maybe("publish.confirm_lost"):
            await self._unconfirmed("no confirm in time")
        if chances.maybe("publish.confirm_late"):
            await self._loop.sleep(chances.between(0.05, 0.9) * TIMEOUT)
        else:
            await self._loop.sleep(link.latency())
        self._check()

    # the wire

    def carry(
        self, delivery: Delivery, receive: Callable[[Delivery], None], subscription: SimulatedSubscription
    ) -> None:
        """A delivery on its way to the machine. It arrives even if its channel has died meanwhile."""
        wait = self._link.latency()
        if self._chances.maybe("delivery.late"):
            wait += self._chances.between(0.01, 2.0)
        if self._chances.maybe("channel.dies"):
            self._loop.call_later(
                self._chances.between(0.0, 2.0), self._channel_dies, subscription, context=WORLD
            )
        wrapped = SimulatedDelivery(delivery, self._acknowledge)
        self._loop.call_later(wait, receive, wrapped, context=self._owner.context)

    def _channel_dies(self, subscription: SimulatedSubscription) -> None:
        if subscription in self.subscriptions and subscription.ready:
            self.lose_channel(subscription)

    def _acknowledge(self, delivery: Delivery) -> None:
        """An acknowledgement on its way to the broker; after its channel has died it means nothing."""
        if not self._owner.alive or self._link.down:
            return
        if self._chances.maybe("ack.lost"):
            # An acknowledgement is only lost with its connection, so that the message comes back.
            self._loop.call_later(self._chances.between(0.0, 1.0), self.lose, context=WORLD)
            return
        self._loop.call_later(self._link.latency(), delivery.ack, context=WORLD)

    def _arrives_late(self, message: Message, to: Address) -> None:
        self.server.on_the_way -= 1
        if not self._link.down:
            # Nobody is there any more to be told that no queue takes it.
            with suppress(Unroutable, Overloaded, TooLarge):
                self.server.arrive(message, to)

    async def _unconfirmed(self, why: str) -> None:
        await self._loop.sleep(TIMEOUT * (1.0 if self._chances.between(0, 1) < 0.5 else 0.01))
        raise BrokerUnavailable(why)

    async def _ask(self) -> None:
        self._check()
        await self._loop.sleep(self._link.latency())
        self._check()

    def _check(self) -> None:
        if not self._up:
            raise BrokerUnavailable("the broker is not connected")

    def _return_taken(self) -> None:
        for taken in self._taken.values():
            as_world(taken.give_back)
