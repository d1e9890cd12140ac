"""What earlier versions left on the broker: found, and removed where that harms nobody.

A queue goes only if it is empty and nobody consumes it; what is in the way is said, with how to mend it. A
binding goes once the service runs in a version that does not subscribe to the event: before, the workers that
run now would miss it. What an event was published to goes when nobody speaks of the event any more.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal

from pavane.client.means import Means
from pavane.client.queue_lock import QueueLock
from pavane.core.leftovers import (
    LeftBinding,
    LeftEvent,
    LeftQueue,
    is_emitted,
    left_events,
    left_over,
    words_for,
)
from pavane.core.topology import Names, Topology
from pavane.ports.broker import QueueCount, TopologyChange

_STILL_RUNS: Final = (
    "Its service runs, or ran last, in a version that {} it: start the new one, then prune again."
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Something left over.

    Attributes:
        change: what is to be done about it; its `current` is what is in the way, its `remedy` how to mend that.
        obstructed: whether it has to stay for now.
    """

    change: TopologyChange
    obstructed: bool


class Leavings:
    """What of the services of `topology` is left over, as the store remembers and the broker has it.

    Args:
        messages: in each queue as the management API counts them, which sees those that are delivered and those
            that RabbitMQ is dead-lettering; without it, those that wait are counted.
    """

    def __init__(self, means: Means, topology: Topology, messages: Mapping[str, int] | None = None) -> None:
        self._means = means
        self._topology = topology
        self._messages = messages or {}

    async def found(self) -> list[Leaving]:
        """What is left over now; changes nothing.

        Raises:
            StateUnavailable, BrokerUnavailable: a server does not answer.
        """
        queues, bindings, registered = await self._known()
        deletions = _deletions(queues)
        return [
            *(_unbinding(self._topology.names, binding, registered) for binding in bindings),
            *(leaving for _, leaving in deletions),
            *(self._ending(left, registered, deletions) for left in await self._events(registered)),
        ]

    async def prune(self) -> list[Leaving]:
        """Remove what nothing obstructs; what was done, and what had to stay.

        Raises:
            StateUnavailable, BrokerUnavailable: a server does not answer. Call again: it goes on there.
        """
        queues, bindings, registered = await self._known()
        events = await self._events(registered)
        done = [await self._unbind(binding, registered) for binding in bindings]
        removed = [(queue, await self._remove(queue, leaving)) for queue, leaving in _deletions(queues)]
        done += [leaving for _, leaving in removed]
        done += [await self._end(left, self._ending(left, registered, removed)) for left in events]
        await self._forget_workers()
        return done

    async def _known(
        self,
    ) -> tuple[list[tuple[LeftQueue, QueueCount]], tuple[LeftBinding, ...], frozenset[str]]:
        """The queues that are there and what is in them, the bindings, and what the services say of themselves."""
        registrations = await self._means.store.registrations()
        registered = frozenset(
            word for one in registrations for word in words_for(one.subscriptions, one.emits)
        )
        left = left_over(self._topology, registered | await self._means.store.remembered())
        counts = await self._means.broker.count([queue.name for queue in left.queues])
        queues = [
            (queue, replace(count, ready=max(count.ready, self._messages.get(queue.name, 0))))
            for queue, count in zip(left.queues, counts, strict=True)
            if count is not None
        ]
        return queues, left.bindings, registered

    async def _events(self, registered: frozenset[str]) -> list[LeftEvent]:
        """Events that nobody speaks of any more and that are still declared."""
        left = left_events(self._topology, registered | await self._means.store.remembered())
        known = await self._means.broker.known_events([one.event for one in left])
        return [one for one, is_known in zip(left, known, strict=True) if is_known]

    def _ending(
        self, left: LeftEvent, registered: frozenset[str], queues: Sequence[tuple[LeftQueue, Leaving]]
    ) -> Leaving:
        name = self._topology.names.event(left.event)
        if not registered.isdisjoint(left.words):
            return _obstructed("exchange", name, "a registration names it", _STILL_RUNS.format("speaks of"))
        for queue, leaving in queues:
            if leaving.obstructed and left.event in queue.events:
                return _obstructed("exchange", name, f"it goes together with {queue.name}", "")
        return Leaving(TopologyChange("delete", "exchange", name), obstructed=False)

    async def _end(self, left: LeftEvent, found: Leaving) -> Leaving:
        if found.obstructed:
            return found
        if not await self._means.broker.remove_event(left.event):
            remedy = "`rabbitmqctl list_bindings` shows which queue: find out whose it is, and unbind it."
            return _obstructed("exchange", found.change.name, "a queue is bound to it", remedy)
        await self._means.store.forget([word for word in left.words if is_emitted(word)])
        return found

    async def _unbind(self, binding: LeftBinding, registered: frozenset[str]) -> Leaving:
        found = _unbinding(self._topology.names, binding, registered)
        if not found.obstructed:
            await self._means.broker.unsubscribe(binding.queue, binding.event)
            await self._means.store.forget([binding.word])
        return found

    async def _remove(self, queue: LeftQueue, found: Leaving) -> Leaving:
        if found.obstructed:
            return found
        async with self._alone_with(queue.name) as is_alone:
            if not is_alone:
                return _obstructed(
                    "queue", queue.name, "another pass goes through it", "Wait until it has ended."
                )
            in_the_way = await self._means.broker.remove(queue.name, queue.events)
        return _deletion(in_the_way) if in_the_way else found

    @asynccontextmanager
    async def _alone_with(self, queue: str) -> AsyncGenerator[bool]:
        """A pass through dead letters holds some of them unacknowledged, which no count shows."""
        lock = QueueLock(self._means, queue, secrets.token_hex(8))
        try:
            yield await lock.keep()
        finally:
            await lock.let_go()

    async def _forget_workers(self) -> None:
        """Keep nothing of a worker whose queues are all gone, unless its service still says that it has it."""
        queues, _, registered = await self._known()
        remembered = await self._means.store.remembered()
        standing = {queue.worker for queue, _ in queues}
        gone = {queue.worker for queue in left_over(self._topology, remembered).queues if queue.is_of_none}
        words = [
            word
            for word in remembered
            if (worker := word.partition(" ")[0]) in gone - standing
            and worker not in registered
            # What it emitted says that there is an exchange, until that is gone or somebody else says so.
            and (not is_emitted(word) or word.partition(" >")[2] in self._topology.events)
        ]
        await self._means.store.forget(words)


def to_be_pruned(leavings: Sequence[Leaving]) -> list[TopologyChange]:
    """The same, for whoever only looks: with the command that removes it."""
    remedy = "`pavane topology prune` removes it."
    return [
        leaving.change if leaving.obstructed else replace(leaving.change, remedy=remedy)
        for leaving in leavings
    ]


def _unbinding(names: Names, binding: LeftBinding, registered: frozenset[str]) -> Leaving:
    obstructed = binding.word in registered
    remedy = _STILL_RUNS.format("subscribes to") if obstructed else ""
    name = f"{names.event(binding.event)} -> {binding.queue}"
    return Leaving(
        TopologyChange("unbind", "binding", name, current=binding.event, remedy=remedy), obstructed
    )


def _deletions(queues: Sequence[tuple[LeftQueue, QueueCount]]) -> list[tuple[LeftQueue, Leaving]]:
    """The queues of a worker go together: it may still run, and its letters need the queue that they go back to."""
    found = [(queue, _deletion(count)) for queue, count in queues]
    obstructed = {queue.worker: leaving.change.name for queue, leaving in found if leaving.obstructed}
    return [
        (queue, leaving)
        if leaving.obstructed or queue.worker not in obstructed
        else (
            queue,
            _obstructed("queue", queue.name, f"it goes together with {obstructed[queue.worker]}", ""),
        )
        for queue, leaving in found
    ]


def _deletion(count: QueueCount) -> Leaving:
    if count.consumers:
        return _obstructed(
            "queue",
            count.queue,
            f"{count.consumers} consumers",
            "Stop the processes of the version that has this worker, then prune again.",
        )
    if count.ready:
        return _obstructed("queue", count.queue, f"{count.ready} messages", _emptying(count.queue))
    return Leaving(TopologyChange("delete", "queue", count.queue), obstructed=False)


def _emptying(queue: str) -> str:
    _, kind, worker = queue.split(".", 2)
    if kind == "dlq":
        return f"`pavane dlq ls --worker {worker}`, then redrive in the old version, or discard."
    return "Run the version that has this worker until the queue is empty, then prune again."


def _obstructed(kind: Literal["queue", "exchange"], name: str, current: str, remedy: str) -> Leaving:
    return Leaving(TopologyChange("delete", kind, name, current=current, remedy=remedy), obstructed=True)
