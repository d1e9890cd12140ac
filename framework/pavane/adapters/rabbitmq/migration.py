"""Replacing a queue by one of the same name with other arguments, while its service goes on.

    old      ->  interim     what leads to the old queue leads to the interim, its consumers change over to it
                             one by one, what is left is moved; empty and alone, the old queue is deleted
    interim  ->  new         the same back, to the new queue under the old name

How far it has come is seen from which of the two queues exist, and from whether the one that has the name is as
it is wanted. So nothing is written down anywhere, and whoever is killed is carried on by calling again.

Why nothing is lost:

- The interim is bound before the old queue is unbound. What comes in between is in both: a duplicate, which the
  receiver knows.
- RabbitMQ counts as a consumer of a quorum queue whoever still has a message of it in hand, also after it was
  cancelled (measured on 3.10.8). No message ready and no consumer is therefore an empty queue, and one that
  nothing leads to stays empty. Only then is it deleted.
- All is done on one connection, which holds an exclusive queue for as long as it lives, and which does not come
  back. Somebody who was frozen can so do nothing any more once another may have begun.
- In between anybody may declare the queue once more as it was, as a process of the version before does that
  finds it gone. It is then replaced again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Literal

from aiormq.exceptions import ChannelLockedResource

from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.declare import bind, compare, count_of, delete, restore, unbind
from pavane.adapters.rabbitmq.mover import Mover
from pavane.adapters.rabbitmq.topology import Binding, Declarations, Queue
from pavane.core.migration import interim
from pavane.errors import Overloaded, TopologyMismatch
from pavane.ports.broker import QueueCount, TopologyChange

LOOK_EVERY: Final = 0.2
"""Seconds between two looks at a queue that its consumers have not left yet."""

MARKERS_LOST: Final = 20
"""Markers that consumers took without leaving, after which they are taken for a version that knows none."""

REPLY_TIMEOUT: Final = 30.0

_KIND: Final = ("x-queue-type", "durable", "exclusive", "auto_delete")
"""What no queue of pavane's differs in. How a queue of another kind counts its consumers is not known."""

Steps = AsyncGenerator[TopologyChange | QueueCount]


@asynccontextmanager
async def alone_with(link: Link, queue: str) -> AsyncGenerator[None]:
    """Open a connection that may replace `queue` as long as it lives, and close it.

    Raises:
        TopologyMismatch: another connection replaces it.
        BrokerUnavailable: the connection could not be made.
    """
    await link.open()
    try:
        channel = await link.channel()
        with border(f"claiming {queue}"):
            try:
                await channel.queue_declare(
                    f"{queue}.claimed", exclusive=True, auto_delete=True, timeout=REPLY_TIMEOUT
                )
            except ChannelLockedResource:
                raise TopologyMismatch(
                    f"{queue} is being replaced by somebody else.",
                    remedy="Wait until that has ended; one that was killed or hangs is let go within a minute.",
                ) from None
        yield
    finally:
        await link.close()


class Migration:
    """Replaces the one queue of `wanted`, by what is there.

    Args:
        link: held by `alone_with`.
        wanted: the queue, and all that leads or led to it.
    """

    def __init__(self, link: Link, wanted: Declarations, *, publish_timeout: float) -> None:
        [queue] = wanted.queues
        arguments = {name: value for name, value in queue.arguments.items() if name != "x-max-length"}
        self._link = link
        self._wanted = wanted
        self._queue = queue
        self._interim = Queue(interim(queue.name), arguments)
        self._ways = wanted.bindings
        self._ways_beside = tuple(replace(way, target=self._interim.name) for way in wanted.bindings)
        self._mover = Mover(link, timeout=publish_timeout)

    async def go(self) -> Steps:
        """Do what is left to do; see `pavane.ports.broker.Broker.migrate`.

        Raises:
            TopologyMismatch: there is none, or of another kind, or its consumers do not leave it.
            Overloaded: the wanted queue may not hold as many messages as there are.
            BrokerUnavailable: the connection was lost. Calling again goes on.
        """
        yield await count_of(self._link, self._queue.name) or QueueCount(self._queue.name, 0, 0)
        while (found := await compare(self._link, self._queue)) is not None:
            if found.action == "mismatch":
                async for step in self._leave(found):
                    yield step
            elif await count_of(self._link, self._interim.name) is None:
                raise TopologyMismatch(
                    f"there is no queue {self._queue.name}.", remedy="`pavane topology apply` declares it."
                )
            if await self._declare():
                yield _queue_change("create", self._queue.name)
        if await count_of(self._link, self._interim.name) is not None:
            async for step in self._come_home():
                yield step

    async def _leave(self, found: TopologyChange) -> Steps:
        """Bring what is in the old queue, and what would go there, to the interim; then delete it."""
        old, beside = self._queue.name, self._interim.name
        if found.argument in _KIND:
            raise TopologyMismatch(
                f"queue {old} has {found.argument} {found.current}: it is none that pavane has declared.",
                remedy=f"Let it run empty, then delete it (`rabbitmqctl delete_queue {old}`) and "
                "run `pavane topology apply`.",
            )
        await self._check_room()
        is_new = await count_of(self._link, beside) is None
        await restore(self._link, replace(self._wanted, queues=(self._interim,), bindings=()))
        if is_new:
            yield _queue_change("create", beside)
        async for step in self._change_over(old, beside, self._ways_beside, self._ways):
            yield step

    async def _come_home(self) -> Steps:
        """The same from the interim to the queue that has the name now."""
        beside, new = self._interim.name, self._queue.name
        async for step in self._change_over(beside, new, self._ways, self._ways_beside):
            yield step

    async def _change_over(
        self, source: str, target: str, ways: Sequence[Binding], old_ways: Sequence[Binding]
    ) -> Steps:
        """From one queue to the other. What waits is moved before anything new can come, for the sake of order."""
        async with self._mover.reaching(source, target):
            async for step in self._move_what_waits(source, target):
                yield step
            async for step in self._bind(ways):
                yield step
            await unbind(self._link, old_ways)
            for way in old_ways:
                yield _binding_change("unbind", way)
            async for step in self._empty(source, target, old_ways):
                yield step
        await delete(self._link, source)
        yield _queue_change("delete", source)

    async def _move_what_waits(self, source: str, target: str) -> Steps:
        count = await count_of(self._link, source)
        left = count.ready if count else 0
        while left > 0 and (moved := await self._mover.move(source, target)):
            left -= moved
            yield QueueCount(source, max(0, left), 0)

    async def _empty(self, source: str, target: str, ways: Sequence[Binding]) -> Steps:
        """Return when nothing is in `source`, nothing leads there, and nobody has anything of it in hand."""
        self._mover.unanswered = 0
        while True:
            # Again each time: a process of an earlier version that starts meanwhile binds what it needs.
            await unbind(self._link, ways)
            await self._mover.move(source, target)
            count = await count_of(self._link, source)
            if count is None or not (count.ready or count.consumers):
                return
            yield count
            if count.consumers:
                await self._ask_over(count)

    async def _ask_over(self, count: QueueCount) -> None:
        """Send a marker for each consumer; those that nobody takes, because all is in hand, come back."""
        if self._mover.unanswered > MARKERS_LOST + 2 * count.consumers:
            raise TopologyMismatch(
                f"{count.consumers} consumers of {count.queue} do not leave it.",
                remedy="They run a version of pavane that cannot: stop them, then call again.",
            )
        await self._mover.mark(count.queue, count.consumers)
        await asyncio.sleep(LOOK_EVERY)

    async def _bind(self, ways: Sequence[Binding]) -> Steps:
        await bind(self._link, ways)
        for way in ways:
            yield _binding_change("bind", way)

    async def _declare(self) -> bool:
        """Declare the wanted queue, bound to nothing; `False`: somebody has declared the old one again."""
        try:
            await restore(self._link, replace(self._wanted, bindings=()))
        except TopologyMismatch:
            return False
        return True

    async def _check_room(self) -> None:
        room = self._queue.arguments.get("x-max-length")
        counts = [await count_of(self._link, name) for name in (self._queue.name, self._interim.name)]
        waiting = sum(count.ready for count in counts if count)
        if isinstance(room, int) and waiting > room:
            raise Overloaded(
                f"{waiting} messages wait in {self._queue.name}, and {room} are all it may hold.",
                worker=".".join(self._queue.name.split(".")[2:]),
                retry_after=LOOK_EVERY,
                remedy="Redrive or discard some of the letters, or allow more of them.",
            )


def _queue_change(action: Literal["create", "delete"], name: str) -> TopologyChange:
    return TopologyChange(action, "queue", name)


def _binding_change(action: Literal["bind", "unbind"], way: Binding) -> TopologyChange:
    name = f"{way.source} -> {way.target}"
    if action == "bind":
        return TopologyChange(action, "binding", name, wanted=way.key)
    return TopologyChange(action, "binding", name, current=way.key)
