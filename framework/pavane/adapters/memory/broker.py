"""The broker of the test kit and of `--embedded`: the port's guarantees within one process.

What RabbitMQ would keep on disk is kept in this object: closing and opening it loses nothing. Delays follow
the injected clock. Everything is deterministic: the same calls give the same deliveries in the same order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from pavane.adapters.memory.queue import MemoryQueue, MemorySubscription, Stored
from pavane.core.migration import is_movable
from pavane.core.topology import DELIVERY_LIMIT, LONGEST_DELAY, UNIT_MS, Topology
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge, TopologyMismatch, UsageError
from pavane.ports.broker import (
    Address,
    Delivery,
    Message,
    QueueCount,
    Subscription,
    ToDeadLetters,
    TopologyChange,
    ToQueue,
    ToSubscribers,
    Unroutable,
)
from pavane.ports.clock import Clock


class MemoryBroker:
    """See `pavane.ports.broker.Broker`.

    Args:
        clock: what delays are measured by.
        max_body: bytes of an event's longest body; letters and copies are passed on whatever their size.
    """

    def __init__(self, clock: Clock, *, max_body: int = 262_144) -> None:
        self._clock = clock
        self._max_body = max_body
        self._open = False
        self._down = False
        self._namespaces: set[str] = set()
        self._queues: dict[str, MemoryQueue] = {}
        self._for_jobs: set[str] = set()
        self._for_letters: set[str] = set()
        self._events: set[str] = set()
        self._subscribers: dict[str, list[str]] = {}
        self._duplicates: Counter[str] = Counter()

    # --- faults and observation, for the test kit ---

    @property
    def down(self) -> bool:
        """Set it to make every call raise `BrokerUnavailable` and give back all that is unsettled.

        Set back, subscriptions go on by themselves, as they do after a reconnect.
        """
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        self._reach(self._open and not down)

    def duplicate(self, event: str, times: int = 1) -> None:
        """Deliver each of the next `times` publishes of `event` twice to every subscriber."""
        self._duplicates[event] += times

    @property
    def deliverable(self) -> int:
        """Messages waiting that a subscription has room for now. At 0, nothing more happens by itself."""
        return sum(queue.deliverable for queue in self._queues.values())

    # --- the port ---

    @property
    def connected(self) -> bool:
        return self._open and not self._down

    async def open(self) -> None:
        if self._down:
            raise BrokerUnavailable("the broker is down")
        self._open = True
        self._reach(True)

    async def close(self) -> None:
        self._open = False
        for queue in self._queues.values():
            for subscription in list(queue.subscriptions):
                await subscription.close()
        self._reach(False)

    async def plan(self, topology: Topology) -> list[TopologyChange]:
        self._check()
        names = topology.names
        changes = [
            TopologyChange("create", "queue", name) if present is None else _mismatch(name, present, wanted)
            for name, wanted in _queues(topology).items()
            if (present := self._queues.get(name)) is None or present.max_length != wanted
        ]
        for worker in topology.workers:
            queue = names.queue(worker.service, worker.worker)
            changes.extend(
                TopologyChange("bind", "binding", f"{event} -> {queue}")
                for event in worker.events
                if queue not in self._subscribers.get(event, [])
            )
        changes.extend(
            TopologyChange("create", "exchange", names.event(event))
            for event in topology.events
            if event not in self._events
        )
        if topology.namespace not in self._namespaces:
            changes.append(TopologyChange("create", "exchange", names.exchange("initialised")))
        return changes

    async def declare(self, topology: Topology) -> list[TopologyChange]:
        changes = await self.plan(topology)
        mismatches = [change for change in changes if change.action == "mismatch"]
        if mismatches:
            raise TopologyMismatch(
                "; ".join(
                    f"queue {m.name} has {m.argument} {m.current}, wanted is {m.wanted}" for m in mismatches
                ),
                remedy=mismatches[0].remedy,
            )
        for name, max_length in _queues(topology).items():
            if name not in self._queues:
                self._queues[name] = self._queue(topology, name, max_length)
        self._bind(topology)
        self._events.update(topology.events)
        self._namespaces.add(topology.namespace)
        return changes

    async def unsubscribe(self, queue: str, event: str) -> None:
        self._check()
        if queue in self._subscribers.get(event, []):
            self._subscribers[event].remove(queue)

    async def known_events(self, events: Sequence[str]) -> list[bool]:
        self._check()
        return [event in self._events for event in events]

    async def remove_event(self, event: str) -> bool:
        self._check()
        if self._subscribers.get(event):
            return False
        self._events.discard(event)
        return True

    async def remove(self, queue: str, events: Sequence[str] = ()) -> QueueCount | None:
        [count] = await self.count([queue])
        if count is not None and (count.ready or count.consumers):
            return count
        for event in events:
            await self.unsubscribe(queue, event)
        self._for_jobs.discard(queue)
        self._for_letters.discard(queue)
        self._queues.pop(queue, None)
        return None

    async def migrate(
        self, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        self._check()
        wanted, present = _queues(topology), self._queues.get(queue)
        if queue not in wanted or not is_movable(queue):
            raise UsageError(f"{queue!a} is no queue of these definitions that holds jobs or letters.")
        if present is None:
            raise TopologyMismatch(f"there is no queue {queue}.")
        yield QueueCount(queue, present.ready, sum(each.ready for each in present.subscriptions))
        room = wanted[queue]
        if room is not None and present.held > room:
            raise Overloaded(
                f"{present.held} messages are in {queue}, and {room} are all it may hold.",
                worker=".".join(queue.split(".")[2:]),
                retry_after=1.0,
            )
        if present.max_length != room:
            present.max_length = room  # here it can be changed: the new queue is the old one
            yield TopologyChange("delete", "queue", queue)
            yield TopologyChange("create", "queue", queue)

    async def publish(self, message: Message, to: Address) -> None:
        self._check()
        if isinstance(to, ToSubscribers) and len(message.body) > self._max_body:
            raise TooLarge(f"body of {len(message.body)} bytes, the limit is {self._max_body}")
        headers = {name: value for name, value in message.headers.items() if not name.startswith("x-")}
        self._route(replace(message, headers=headers), to)
        # The confirm comes later than the message: a receiver may be done with it before the publisher knows.
        await asyncio.sleep(0)

    async def consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        return MemorySubscription(self._existing(queue), prefetch=prefetch, receive=receive)

    async def get(self, queue: str) -> Delivery | None:
        return self._existing(queue).pop()

    async def take(self, queue: str, limit: int) -> list[Delivery]:
        taken: list[Delivery] = []
        while len(taken) < limit and (delivery := self._existing(queue).pop()) is not None:
            taken.append(delivery)
        return taken

    async def give_back(self) -> None:
        self._check()
        for queue in self._queues.values():
            queue.taken.give_back()

    async def count(self, queues: Sequence[str]) -> list[QueueCount | None]:
        self._check()
        return [
            QueueCount(name, queue.ready, sum(each.ready for each in queue.subscriptions)) if queue else None
            for name in queues
            for queue in [self._queues.get(name)]
        ]

    # --- how it is done ---

    def _check(self) -> None:
        if not self.connected:
            raise BrokerUnavailable("the broker is down" if self._down else "the broker is not open")

    def _existing(self, name: str) -> MemoryQueue:
        self._check()
        queue = self._queues.get(name)
        if queue is None:
            raise BrokerUnavailable(f"there is no queue {name}")
        return queue

    def _reach(self, reachable: bool) -> None:
        """Connect or disconnect every queue; what is unsettled goes back when the connection ends."""
        for queue in self._queues.values():
            queue.reachable = reachable
            if not reachable:
                queue.taken.give_back()
                for subscription in queue.subscriptions:
                    subscription.unsettled.give_back()
            queue.wake()

    def _queue(self, topology: Topology, name: str, max_length: int | None) -> MemoryQueue:
        names = topology.names
        if name == names.parked:
            return MemoryQueue(name, dead_letter=self._unreachable)
        service = name.split(".")[2]
        target = names.parked if name == names.intake(service) else names.intake(service)

        def dead_letter(stored: Stored, source: str) -> None:
            self._queues[target].put(Stored(stored.message, source_queue=source))

        return MemoryQueue(name, max_length=max_length, limit=DELIVERY_LIMIT, dead_letter=dead_letter)

    def _bind(self, topology: Topology) -> None:
        names = topology.names
        self._for_letters.add(names.parked)
        for service in topology.services:
            self._for_jobs.add(names.intake(service))
            self._for_letters.add(names.intake(service))
        for worker in topology.workers:
            queue = names.queue(worker.service, worker.worker)
            self._for_jobs |= {queue, names.undo_queue(worker.service, worker.worker)} & self._queues.keys()
            self._for_letters.add(names.dead_letter_queue(worker.service, worker.worker))
            for event in worker.events:
                subscribers = self._subscribers.setdefault(event, [])
                if queue not in subscribers:
                    subscribers.append(queue)

    def _route(self, message: Message, to: Address) -> None:
        match to:
            case ToSubscribers(event):
                queues = self._subscribers.get(event, [])
                if not queues:
                    raise Unroutable(event)
                copies = 2 if self._duplicates[event] else 1
                self._duplicates[event] -= copies - 1
                for queue in queues * copies:
                    self._put(queue, message)
            case ToDeadLetters(queue):
                if queue not in self._for_letters:
                    raise Unroutable(queue)
                self._put(queue, message)
            case ToQueue(queue, delay):
                if queue not in self._for_jobs:
                    raise Unroutable(queue)
                if delay <= 0:
                    self._put(queue, message)
                else:
                    units = -(-min(delay, LONGEST_DELAY) // UNIT_MS)
                    at = self._clock.now() + units * UNIT_MS
                    self._clock.call_at(at, lambda: self._put(queue, message))

    def _put(self, name: str, message: Message) -> None:
        queue = self._queues[name]
        if queue.full:
            raise Overloaded(f"{name} is full", worker=".".join(name.split(".")[2:]), retry_after=1.0)
        queue.put(Stored(message))

    def _unreachable(self, stored: Stored, source: str) -> None:
        raise AssertionError(f"{source} has no limit and so no dead letters")


def _queues(topology: Topology) -> dict[str, int | None]:
    """Every queue of the topology, and the messages it may hold."""
    names = topology.names
    found: dict[str, int | None] = {}
    for worker in topology.workers:
        found[names.queue(worker.service, worker.worker)] = None
        if worker.undo:
            found[names.undo_queue(worker.service, worker.worker)] = None
        found[names.dead_letter_queue(worker.service, worker.worker)] = worker.max_dead_letters
    for service in topology.services:
        found[names.intake(service)] = None
    found[names.parked] = None
    return found


def _mismatch(name: str, present: MemoryQueue, wanted: int | None) -> TopologyChange:
    return TopologyChange(
        "mismatch",
        "queue",
        name,
        argument="max_length",
        current=str(present.max_length).lower(),
        wanted=str(wanted).lower(),
        remedy="Arguments cannot be changed. Use a new broker, or the old value.",
    )
