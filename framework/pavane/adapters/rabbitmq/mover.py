"""Moves messages from one queue to another: in order, unchanged, each confirmed before it is acknowledged."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Final, NamedTuple

from aiormq.abc import DeliveredMessage

from pavane.adapters.rabbitmq.acks import Acks
from pavane.adapters.rabbitmq.border import border, ending
from pavane.adapters.rabbitmq.confirms import Outcome
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.content import Deliveries, Properties
from pavane.adapters.rabbitmq.decode import read_properties
from pavane.adapters.rabbitmq.encode import Properties as AnyProperties
from pavane.adapters.rabbitmq.lane import Lane
from pavane.adapters.rabbitmq.marker import Marker, is_marker
from pavane.adapters.rabbitmq.unchanged import CONTENT, Unchanged, read_unchanged
from pavane.errors import BrokerUnavailable, Overloaded

WINDOW: Final = 100
"""Messages in hand at a time; see `publisher.WINDOW`."""

AT_ONCE: Final = 2_000
"""Messages of one call, a second or two: whoever moves more looks up in between."""

NOTHING_FOR: Final = 0.05
"""Seconds without a message, after which the queue counts as empty for now. It is counted before it is deleted."""

REPLY_TIMEOUT: Final = 30.0
RETRY_AFTER: Final = 1.0


class _Taken(NamedTuple):
    tag: int
    properties: Properties
    body: bytes

    @property
    def is_marker(self) -> bool:
        if self.body:
            return False
        return is_marker(read_properties(self.properties[CONTENT])[1], self.body)


class Mover:
    """Moves messages over one connection.

    Attributes:
        unanswered: markers that were sent and have not been found where they were sent to: consumers took them.
    """

    def __init__(self, link: Link, *, timeout: float) -> None:
        self._link = link
        self._timeout = timeout
        self._lane = Lane(link)
        own = secrets.token_hex(6)
        self._message_ids = (f"{own}-{number:x}" for number in count())
        self.unanswered = 0

    @asynccontextmanager
    async def reaching(self, *queues: str) -> AsyncGenerator[None]:
        """Have a way to each of these queues that leads nowhere else, whatever copies a message asks for (`CC`).

        What a killed process leaves of it leads nobody anywhere, and is taken down by whoever carries on.
        """
        channel = await self._link.channel()
        with border("making a way"):
            for queue in queues:
                way = _way(queue)
                await channel.exchange_declare(way, exchange_type="fanout", timeout=REPLY_TIMEOUT)
                await channel.queue_bind(queue, way, "", timeout=REPLY_TIMEOUT)
        yield
        with border("taking a way down"):
            for queue in queues:
                await channel.exchange_delete(_way(queue), timeout=REPLY_TIMEOUT)
            await channel.close(timeout=REPLY_TIMEOUT)

    async def move(self, source: str, target: str, most: int = AT_ONCE) -> int:
        """Move what is ready in `source`, `most` messages or some more; how many it was.

        Raises:
            Overloaded: `target` is full. What it did not take stays in `source`.
            BrokerUnavailable: not permitted, or lost. What was moved may be in both queues.
        """
        moved = 0
        async with self._taking(source) as (arrived, acks):
            while moved < most and (batch := await _batch(arrived)):
                moved += await self._pass_on(batch, target, acks)
        return moved

    async def mark(self, queue: str, number: int) -> None:
        """Send `number` markers to the consumers of `queue`."""
        markers = [(Marker(next(self._message_ids)), b"") for _ in range(number)]
        _judge(await self._published(markers, queue), queue)
        self.unanswered += number

    @asynccontextmanager
    async def _taking(self, queue: str) -> AsyncGenerator[tuple[asyncio.Queue[_Taken | None], Acks]]:
        """What comes from `queue`, and where it is acknowledged. At the end the rest is given back."""
        channel, tap = await self._link.tapped_channel()
        acks = Acks(channel, tap)
        arrived: asyncio.Queue[_Taken | None] = asyncio.Queue()

        def receive(tag: int, properties: Properties, body: bytes) -> None:
            acks.delivered(tag)
            arrived.put_nowait(_Taken(tag, properties, body))

        taker = Deliveries(receive, read_unchanged)
        tap.serve(channel.number, taker)

        def end(_: object) -> None:
            tap.leave(channel.number, taker)
            arrived.put_nowait(None)

        ending(channel).add_done_callback(end)
        try:
            with border(f"taking what is in {queue}"):
                await channel.basic_qos(prefetch_count=WINDOW, timeout=REPLY_TIMEOUT)
                consumer = await channel.basic_consume(queue, _nobody, timeout=REPLY_TIMEOUT)
                yield arrived, acks
                await channel.basic_cancel(consumer.consumer_tag or "", timeout=REPLY_TIMEOUT)
        finally:
            # Before the channel is closed: an acknowledgement on one that is ends the whole connection (504).
            acks.stop()
            with suppress(BrokerUnavailable), border("closing a channel"):
                await channel.close(timeout=REPLY_TIMEOUT)

    async def _pass_on(self, batch: list[_Taken], target: str, acks: Acks) -> int:
        markers = [taken for taken in batch if taken.is_marker]
        messages = [taken for taken in batch if not taken.is_marker]
        outcomes = await self._published([self._unchanged(taken) for taken in messages], target)
        self.unanswered -= len(markers)
        for taken in markers:
            acks.settle(taken.tag)
        for taken, outcome in zip(messages, outcomes, strict=True):
            if outcome == "confirmed":
                acks.settle(taken.tag)
        _judge(outcomes, target)
        return len(messages)

    def _unchanged(self, taken: _Taken) -> tuple[AnyProperties, bytes]:
        content: bytes = taken.properties[CONTENT]
        return Unchanged(content, message_id=next(self._message_ids), user=self._link.user), taken.body

    async def _published(self, messages: Sequence[tuple[AnyProperties, bytes]], queue: str) -> list[Outcome]:
        """Publish to `queue`, in order, and wait for what the broker says of each."""
        await self._lane.opened()
        give_up_at = asyncio.get_running_loop().time() + self._timeout
        with border(f"publishing to {queue}"):
            sent = [
                self._lane.post(body, properties, _way(queue), "", give_up_at)
                for properties, body in messages
            ]
            return await asyncio.gather(*sent)


async def _batch(arrived: asyncio.Queue[_Taken | None]) -> list[_Taken]:
    """What has come, in order; empty if nothing comes.

    Raises:
        BrokerUnavailable: nothing can come any more.
    """
    try:
        found = [await asyncio.wait_for(arrived.get(), NOTHING_FOR)]
    except TimeoutError:
        return []
    while not arrived.empty() and len(found) < WINDOW:
        found.append(arrived.get_nowait())
    taken = [each for each in found if each is not None]
    if len(taken) < len(found):
        raise BrokerUnavailable("RabbitMQ was lost while messages were moved")
    return taken


def _judge(outcomes: list[Outcome], target: str) -> None:
    """
    Raises:
        Overloaded, BrokerUnavailable: not all were taken.
    """
    if "refused" in outcomes:
        raise Overloaded(
            f"{target} is full",
            worker=".".join(target.split(".")[2:4]),
            retry_after=RETRY_AFTER,
            remedy="Redrive or discard some of the letters, or allow more of them; then call again.",
        )
    if set(outcomes) - {"confirmed"}:
        raise BrokerUnavailable(f"RabbitMQ did not take what was moved to {target}", remedy="Call again.")


def _way(queue: str) -> str:
    return f"{queue}.way"


async def _nobody(delivered: DeliveredMessage) -> None:
    """What aiormq is told to call: the tap takes the deliveries of this channel before it sees any."""
    raise RuntimeError(f"delivery {delivered.delivery_tag} was not taken")
