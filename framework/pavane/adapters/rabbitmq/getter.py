"""Taking messages without a subscription: one by one, or as many as are wanted and no more.

A quorum queue answers `basic.get` through its log, one round for each message: a pass through 10,000 letters would
take minutes. So many at once are taken by a consumer whose prefetch is their number, and which is cancelled when it
has them. One that stays would be sent more with each acknowledgement, and what nobody wants any more would go back
one delivery older. So would what is still on its way when it is cancelled: the broker confirms a cancellation
before deliveries that were due earlier.
"""

from __future__ import annotations

import asyncio

from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from pavane.adapters.rabbitmq.acks import Acks
from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.content import Deliveries, Properties
from pavane.adapters.rabbitmq.decode import named_properties
from pavane.adapters.rabbitmq.delivery import read_delivery
from pavane.adapters.rabbitmq.tap import Tap
from pavane.ports.broker import Delivery

REPLY_TIMEOUT = 10.0

QUIET = 0.25
"""Seconds without a delivery after which the broker is asked whether there are any more."""


class Getter:
    """Takes messages over one channel of `link`, which is opened when first needed."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._way: tuple[Channel, Tap, Acks] | None = None
        self._getting = asyncio.Lock()

    async def get(self, queue: str) -> Delivery | None:
        """See `pavane.ports.broker.Broker.get`."""
        async with self._getting:
            channel, _, acks = await self._opened()
            with border(f"taking a message from {queue}"):
                taken = await channel.basic_get(queue, timeout=REPLY_TIMEOUT)
        if isinstance(taken.delivery, spec.Basic.GetEmpty):
            return None
        properties = named_properties(taken.header.properties)
        delivery = read_delivery(taken.delivery_tag or 0, properties, taken.body, queue, acks.settle)
        acks.delivered(delivery.tag)
        return delivery

    async def take(self, queue: str, limit: int) -> list[Delivery]:
        """See `pavane.ports.broker.Broker.take`."""
        async with self._getting:
            channel, tap, acks = await self._opened()
            batch = Batch(queue, limit, acks)
            deliveries = Deliveries(batch.keep)
            tap.serve(channel.number, deliveries)
            try:
                with border(f"taking messages from {queue}"):
                    await channel.basic_qos(prefetch_count=limit, timeout=REPLY_TIMEOUT)
                    reply = await channel.basic_consume(queue, _nobody, timeout=REPLY_TIMEOUT)
                    await batch.complete(channel)
                    await channel.basic_cancel(reply.consumer_tag or "", timeout=REPLY_TIMEOUT)
            finally:
                tap.leave(channel.number, deliveries)
        return batch.taken

    async def give_back(self) -> None:
        """See `pavane.ports.broker.Broker.give_back`."""
        async with self._getting:
            way, self._way = self._way, None
            if way is None or way[0].is_closed:
                return
            channel, _, acks = way
            acks.stop()
            with border("closing a channel"):
                await channel.close(timeout=REPLY_TIMEOUT)

    def stop(self) -> None:
        """Send the acknowledgements that are due: the connection is about to close."""
        way, self._way = self._way, None
        if way is not None:
            way[2].stop()

    async def _opened(self) -> tuple[Channel, Tap, Acks]:
        if self._way is None or self._way[0].is_closed:
            channel, tap = await self._link.tapped_channel()
            self._way = channel, tap, Acks(channel, tap)
        return self._way


class Batch:
    """Messages as they come, up to `limit`."""

    def __init__(self, queue: str, limit: int, acks: Acks) -> None:
        self.taken: list[Delivery] = []
        self._queue = queue
        self._limit = limit
        self._acks = acks
        self._came = asyncio.Event()

    def keep(self, tag: int, properties: Properties, body: bytes) -> None:
        self._acks.delivered(tag)
        self.taken.append(read_delivery(tag, properties, body, self._queue, self._acks.settle))
        self._came.set()

    async def complete(self, channel: Channel) -> None:
        """Return when all have come, or the broker says that there are no more, or has none come for too long."""
        quiet = 0.0
        while len(self.taken) < self._limit and quiet < REPLY_TIMEOUT:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), QUIET)
            except TimeoutError:
                told = await channel.queue_declare(self._queue, passive=True, timeout=REPLY_TIMEOUT)
                if not told.message_count:
                    return
                quiet += QUIET
            else:
                quiet = 0.0


async def _nobody(delivered: DeliveredMessage) -> None:
    """What comes after the cancellation stays unsettled, and goes back with the channel."""
