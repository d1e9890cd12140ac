"""Publishing with confirms, many at a time, on few long-lived channels."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from itertools import count

from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity, DeliveryError, PublishError

from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.encode import MAX_HEADERS, MAX_HEADERS_OF_COPIES, Properties
from pavane.adapters.rabbitmq.frames import beneath, forget, post
from pavane.adapters.rabbitmq.topology import delay_route
from pavane.core.topology import Names
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge
from pavane.ports.broker import (
    Address,
    Message,
    ToDeadLetters,
    ToQueue,
    ToSubscribers,
    Unroutable,
)

WINDOW = 100
"""Publishes in flight. One at a time makes 1,700 a second, a hundred 7,500; aiormq walks all unconfirmed ones
to resolve a `multiple` confirm, so thousands would cost more than they bring."""

RETRY_AFTER = 1.0


class Publisher:
    """Publishes on one connection.

    An error of a channel (an exchange that is gone, a permission refused) fails all that is in flight on it.
    So events, jobs and dead letters have a channel each: trouble with one leaves the others alone.

    Args:
        link: the connection.
        names: names of the namespace.
        timeout: seconds until a publish without confirm is given up, waiting for the connection included.
        max_body: bytes of an event's longest body. Letters and copies are what somebody else has sent: they
            are passed on whatever their size, or they could not be set aside.
        missing: called when an exchange does not exist.
    """

    def __init__(
        self, link: Link, names: Names, *, timeout: float, max_body: int, missing: Callable[[], None]
    ) -> None:
        self._link = link
        self._names = names
        self._timeout = timeout
        self._max_body = max_body
        self._missing = missing
        self._window = asyncio.Semaphore(WINDOW)
        self._lanes: dict[type[Address], _Lane] = {
            address: _Lane(link) for address in (ToSubscribers, ToQueue, ToDeadLetters)
        }
        # Returned messages are matched by message id: it must be unique per publish, the event's id is not.
        own = secrets.token_hex(6)
        self._message_ids = (f"{own}-{number:x}" for number in count())

    async def publish(self, message: Message, to: Address) -> None:
        """See `pavane.ports.broker.Broker.publish`."""
        is_event = isinstance(to, ToSubscribers)
        if is_event and len(message.body) > self._max_body:
            raise TooLarge(f"body of {len(message.body)} bytes, the limit is {self._max_body}")
        properties = Properties(
            message,
            message_id=next(self._message_ids),
            user=self._link.user,
            max_headers=MAX_HEADERS if is_event else MAX_HEADERS_OF_COPIES,
        )
        try:
            async with asyncio.timeout(self._timeout), self._window:
                await self._send(message.body, properties, to)
        except TimeoutError:
            raise BrokerUnavailable(
                f"RabbitMQ did not confirm a publish within {self._timeout:g} s",
                remedy="It may still arrive. Look for a memory or disk alarm: `rabbitmq-diagnostics alarms`.",
            ) from None

    async def _send(self, body: bytes, properties: Properties, to: Address) -> None:
        exchange, key = self._route(to)
        await self._link.ready()
        lane = self._lanes[type(to)]
        channel = beneath(await lane.channel())
        try:
            with border("publishing"):
                try:
                    confirm = await post(
                        channel, lane.turn, body, properties, exchange=exchange, routing_key=key
                    )
                    try:
                        await confirm
                    finally:
                        forget(channel, properties.message_id)
                except PublishError:
                    raise Unroutable(_target(to)) from None
                except DeliveryError:
                    raise _refused(to) from None
        except BrokerUnavailable as lost:
            if isinstance(lost.__cause__, ChannelNotFoundEntity):
                self._missing()
            raise

    def _route(self, to: Address) -> tuple[str, str]:
        """Exchange and routing key."""
        match to:
            case ToSubscribers(event):
                return self._names.exchange("events"), event
            case ToDeadLetters(queue):
                return self._names.exchange("dlx"), queue
            case ToQueue(queue, delay) if delay > 0:
                return delay_route(self._names, queue, delay)
            case ToQueue(queue):
                return self._names.exchange("jobs"), queue


class _Lane:
    """A channel that is opened when first needed and again after it was lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._channel: Channel | None = None
        self._opening = asyncio.Lock()
        self.turn = asyncio.Lock()

    async def channel(self) -> Channel:
        if self._channel is None or self._channel.is_closed:
            async with self._opening:
                if self._channel is None or self._channel.is_closed:
                    self._channel = await self._link.channel(confirms=True)
        return self._channel


def _target(to: Address) -> str:
    return to.event if isinstance(to, ToSubscribers) else to.queue


def _refused(to: Address) -> Overloaded:
    target = _target(to)
    worker = target if isinstance(to, ToSubscribers) else ".".join(target.split(".")[2:])
    return Overloaded(f"RabbitMQ refuses {target}: the queue is full", worker=worker, retry_after=RETRY_AFTER)
