"""One queue in memory, its subscriptions, and the deliveries they hold."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pavane.ports.broker import Delivery, Message


@dataclass(slots=True)
class Stored:
    """A message in a queue: how often it came back, and where it was dead-lettered from."""

    message: Message
    delivery_count: int = 0
    source_queue: str | None = None


@dataclass(slots=True)
class MemoryDelivery:
    """See `pavane.ports.broker.Delivery`. An `ack` after the message went back to its queue does nothing."""

    message: Message
    queue: str
    delivery_count: int
    source_queue: str | None
    _settle: Callable[[], None]
    problem: str | None = None

    def ack(self) -> None:
        self._settle()


@dataclass(slots=True)
class Unsettled:
    """Messages that are out, in the order in which they went."""

    queue: MemoryQueue
    _out: dict[int, Stored] = field(default_factory=dict[int, Stored])
    _tag: int = 0

    def __len__(self) -> int:
        return len(self._out)

    def take(self, stored: Stored) -> MemoryDelivery:
        """Note that `stored` is out, and wrap it for its receiver."""
        self._tag += 1
        tag = self._tag
        self._out[tag] = stored

        def settle() -> None:
            if self._out.pop(tag, None):
                self.queue.wake()

        return MemoryDelivery(
            stored.message, self.queue.name, stored.delivery_count, stored.source_queue, settle
        )

    def give_back(self) -> None:
        """Return all that is out to the queue. Its receivers' acknowledgements are void from now on."""
        out, self._out = self._out, {}
        self.queue.put_back(out.values())


class MemoryQueue:
    """A queue. Deliveries happen in a later turn of the loop than what caused them, never inside a call.

    Args:
        name: in full.
        max_length: messages it holds; one more is refused.
        limit: how often a message may come back; `None`: always.
        dead_letter: takes what came back more often.
    """

    def __init__(
        self,
        name: str,
        *,
        max_length: int | None = None,
        limit: int | None = None,
        dead_letter: Callable[[Stored, str], None],
    ) -> None:
        self.name = name
        self.max_length = max_length
        self.reachable = True
        self.taken = Unsettled(self)
        self.subscriptions: list[MemorySubscription] = []
        self._limit = limit
        self._dead_letter = dead_letter
        self._ready: deque[Stored] = deque()
        self._turn = 0
        self._awake = False

    @property
    def ready(self) -> int:
        """Messages waiting."""
        return len(self._ready)

    @property
    def held(self) -> int:
        """Messages waiting, and those that are out."""
        return len(self._ready) + len(self.taken) + sum(len(each.unsettled) for each in self.subscriptions)

    @property
    def full(self) -> bool:
        return self.max_length is not None and self.held >= self.max_length

    @property
    def deliverable(self) -> int:
        """Messages waiting that a subscription has room for."""
        return min(len(self._ready), sum(each.room for each in self.subscriptions))

    def put(self, stored: Stored) -> None:
        self._ready.append(stored)
        self.wake()

    def put_back(self, returned: Iterable[Stored]) -> None:
        """At the front, in their old order, one delivery older; past the limit to the dead letters."""
        kept: list[Stored] = []
        for stored in returned:
            stored.delivery_count += 1
            if self._limit is not None and stored.delivery_count > self._limit:
                self._dead_letter(stored, self.name)
            else:
                kept.append(stored)
        self._ready.extendleft(reversed(kept))
        self.wake()

    def pop(self) -> MemoryDelivery | None:
        """Take the first message without a subscription."""
        return self.taken.take(self._ready.popleft()) if self._ready else None

    def wake(self) -> None:
        """Deliver what can be delivered, in the next turn of the loop."""
        if not self._awake and self.deliverable:
            self._awake = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._awake = False
        while self._ready and (subscription := self._next()):
            subscription.deliver(self._ready.popleft())

    def _next(self) -> MemorySubscription | None:
        """The next subscription in turn that has room."""
        for _ in self.subscriptions:
            self._turn = (self._turn + 1) % len(self.subscriptions)
            candidate = self.subscriptions[self._turn]
            if candidate.room:
                return candidate
        return None


class MemorySubscription:
    """See `pavane.ports.broker.Subscription`."""

    def __init__(self, queue: MemoryQueue, *, prefetch: int, receive: Callable[[Delivery], None]) -> None:
        self.unsettled = Unsettled(queue)
        self._queue = queue
        self._prefetch = prefetch
        self._receive = receive
        self._cancelled = False
        queue.subscriptions.append(self)
        queue.wake()

    @property
    def ready(self) -> bool:
        return not self._cancelled and self._queue.reachable

    @property
    def room(self) -> int:
        """How many messages it takes now."""
        return max(0, self._prefetch - len(self.unsettled)) if self.ready else 0

    def deliver(self, stored: Stored) -> None:
        self._receive(self.unsettled.take(stored))

    async def set_prefetch(self, prefetch: int) -> None:
        self._prefetch = prefetch
        self._queue.wake()

    async def cancel(self) -> None:
        self._cancelled = True

    async def close(self) -> None:
        self._cancelled = True
        if self in self._queue.subscriptions:
            self._queue.subscriptions.remove(self)
        self.unsettled.give_back()
