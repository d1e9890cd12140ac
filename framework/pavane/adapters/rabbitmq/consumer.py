"""One consumer on one channel. It dies with its channel; `subscription` puts another in its place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from aiormq import spec
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from pavane.adapters.rabbitmq.acks import Acks
from pavane.adapters.rabbitmq.border import border, ending
from pavane.adapters.rabbitmq.content import Deliveries, Properties
from pavane.adapters.rabbitmq.delivery import RabbitMQDelivery, read_delivery
from pavane.adapters.rabbitmq.marker import is_marker
from pavane.adapters.rabbitmq.tap import Tap
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Delivery

REPLY_TIMEOUT = 10.0
"""Seconds the broker has to answer a command. aiormq closes a channel whose command was not answered."""

CLOSE_TIMEOUT = 2.0


class Consumer:
    """Receives the messages of `queue` on `channel`, at most `prefetch` unsettled at a time.

    While the queue is replaced by one with other arguments, its interim is consumed in its place. Whoever
    replaces it asks each consumer to change over, by a message among the others (`marker`).

    On quorum queues a consumer has the prefetch it began with; a new one means a new consumer on the same
    channel. What the old one had delivered is still out then; the surplus is held back until there is room.

    Args:
        lost: called once when the consumer stops existing without our doing.
        asked_over: called when it is asked to change over.
    """

    def __init__(
        self,
        channel: Channel,
        tap: Tap,
        queue: str,
        *,
        prefetch: int,
        receive: Callable[[Delivery], None],
        lost: Callable[[], None],
        asked_over: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._tap = tap
        self._deliveries = Deliveries(self._on_message)
        self._queue = self.place = queue
        self._prefetch = prefetch
        self._receive = receive
        self._lost = lost
        self._asked_over = asked_over
        self._acks = Acks(channel, tap)
        self._out: set[int] = set()
        self._held: deque[RabbitMQDelivery] = deque()
        self._tag: str | None = None
        self._started = False
        self._stopped = False

    @property
    def consuming(self) -> bool:
        """Whether the consumer exists on the broker."""
        return self._tag is not None and not self._stopped

    @property
    def lost(self) -> bool:
        """Whether it has stopped existing, or was stopped."""
        return self._stopped

    async def start(self) -> None:
        """Begin to consume.

        Raises:
            BrokerUnavailable: the broker refused or was lost; the channel is of no use any more.
        """
        ending(self._channel).add_done_callback(lambda _: self._end())
        self._tap.serve(self._channel.number, self._deliveries)
        self._channel.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)
        with border(f"consuming {self._queue}"):
            await self._consume()
        self._started = True

    async def set_prefetch(self, prefetch: int) -> None:
        """Replace the consumer by one with another prefetch."""
        self._prefetch = prefetch
        with border(f"changing the prefetch of {self._queue}"):
            await self._unsubscribe()
            await self._consume()
        self._hand_out()

    async def change_over(self, place: str) -> None:
        """Take what comes from the queue `place` from now on. What is in hand is settled where it came from.

        Raises:
            BrokerUnavailable: there is no such queue, and no channel any more.
        """
        self.place = place
        with border(f"changing over to {place}"):
            await self._unsubscribe()
            await self._consume()

    async def cancel(self) -> None:
        """Stop receiving, give back what was not handed out. Acknowledging goes on."""
        was_consuming, self._stopped = self.consuming, True
        if not was_consuming:
            return
        with suppress(BrokerUnavailable), border(f"cancelling the consumer of {self._queue}"):
            await self._unsubscribe()
            while self._held:
                await self._channel.basic_nack(self._held.popleft().tag, requeue=True, wait=False)

    async def close(self) -> None:
        """Cancel, send the last acknowledgements, close the channel: RabbitMQ requeues the rest.

        In this order: an acknowledgement on a channel that is being closed ends the whole connection (504).
        """
        await self.cancel()
        self._acks.stop()
        self._out.clear()
        with suppress(BrokerUnavailable), border("closing a channel"):
            await asyncio.wait_for(self._channel.close(), CLOSE_TIMEOUT)

    async def _consume(self) -> None:
        await self._channel.basic_qos(prefetch_count=self._prefetch, timeout=REPLY_TIMEOUT)
        reply = await self._channel.basic_consume(self.place, _nobody, timeout=REPLY_TIMEOUT)
        self._tag = reply.consumer_tag

    async def _unsubscribe(self) -> None:
        tag, self._tag = self._tag, None
        if tag is not None:
            await self._channel.basic_cancel(tag, timeout=REPLY_TIMEOUT)

    def _on_message(self, tag: int, properties: Properties, body: bytes) -> None:
        self._acks.delivered(tag)
        if is_marker(properties, body):
            self._acks.settle(tag)
            self._asked_over()
            return
        delivery = read_delivery(tag, properties, body, self._queue, self._settle)
        self._held.append(delivery)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._held and len(self._out) < self._prefetch and not self._stopped:
            delivery = self._held.popleft()
            self._out.add(delivery.tag)
            self._receive(delivery)

    def _settle(self, tag: int) -> None:
        if tag not in self._out:
            return
        self._out.remove(tag)
        self._acks.settle(tag)
        if self._held:
            # Not from inside `ack`: the receiver is not prepared for the next delivery there.
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _cancelled_by_broker(self, frame: spec.Basic.Cancel) -> None:
        """The queue was deleted, or its leader moved away."""
        if frame.consumer_tag == self._tag:
            self._end()

    def _end(self) -> None:
        self._tap.leave(self._channel.number, self._deliveries)
        if self._stopped:
            return
        self._stopped = True
        self._held.clear()
        if self._started:
            self._lost()


async def _nobody(delivered: DeliveredMessage) -> None:
    """What aiormq is told to call: the tap takes the deliveries of this channel before it sees any."""
    raise RuntimeError(f"delivery {delivered.delivery_tag} was not taken")
