"""A channel to publish on, opened when first needed and again after it was lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError

from pavane.adapters.rabbitmq.border import ending
from pavane.adapters.rabbitmq.confirms import Confirms, Outcome
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.declare import exists
from pavane.adapters.rabbitmq.encode import Properties
from pavane.adapters.rabbitmq.frames import publish_frames
from pavane.adapters.rabbitmq.tap import Tap


class Lane:
    """Publishes on one channel of `link`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._opening = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._way: tuple[Channel, Tap, Confirms] | None = None
        self._known: set[str] = set()

    def at_once(self, exchange: str) -> bool:
        """Whether neither `opened` nor `knows` would wait."""
        return (
            exchange in self._known
            and self._way is not None
            and not self._way[0].is_closed
            and self._link.at_once
        )

    async def opened(self) -> None:
        """Return once there is a channel, and the broker reads what is published.

        Raises:
            BrokerUnavailable: closed by us, or the connection went down meanwhile.
        """
        await self._link.ready()
        async with self._opening:
            if self._way is None or self._way[0].is_closed:
                channel, tap = await self._link.tapped_channel(confirms=True)
                confirms = Confirms()
                tap.serve(channel.number, confirms)
                ending(channel).add_done_callback(lambda ended: _end(channel.number, tap, confirms, ended))
                self._way = channel, tap, confirms
                self._known = set()

    async def knows(self, exchange: str) -> bool:
        """Whether an exchange exists; one that does is not asked for again on this channel.

        A publish to one that does not would end the channel, and everything in flight on it.

        Raises:
            BrokerUnavailable: no answer.
        """
        known = self._known
        async with self._asking:
            if exchange not in known and await exists(self._link, exchange):
                known.add(exchange)
        return exchange in known

    def post(
        self, body: bytes, properties: Properties, exchange: str, routing_key: str, give_up_at: float
    ) -> asyncio.Future[Outcome]:
        """Send a mandatory publish; the future is what the broker says of it.

        Raises:
            ChannelInvalidStateError: the channel is closed.
        """
        if self._way is None:
            raise ChannelInvalidStateError("there is no channel")
        channel, tap, confirms = self._way
        if channel.is_closed or not tap.is_open(channel.number):
            raise ChannelInvalidStateError("the channel is closed")
        frames = publish_frames(
            channel.number, channel.max_content_size, body, properties, exchange, routing_key
        )
        outcome = confirms.expect(properties.message_id, give_up_at)
        tap.write(frames)
        return outcome


def _end(number: int, tap: Tap, confirms: Confirms, ended: asyncio.Future[object]) -> None:
    tap.leave(number, confirms)
    why: BaseException | None = None
    with suppress(asyncio.CancelledError):
        why = ended.exception()
    confirms.end(why or ChannelInvalidStateError("the channel was closed"))
