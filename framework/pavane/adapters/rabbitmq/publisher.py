"""Publishing with confirms, many at a time, on few long-lived channels."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from itertools import count

from aiormq.exceptions import ChannelNotFoundEntity

from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.confirms import Outcome
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.encode import MAX_HEADERS, MAX_HEADERS_OF_COPIES, Properties
from pavane.adapters.rabbitmq.lane import Lane
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
"""Publishes in flight. One at a time makes 1,700 a second, a hundred 7,500. It bounds what waits in memory, too."""

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
        self._lanes: dict[type[Address], Lane] = {
            address: Lane(link) for address in (ToSubscribers, ToQueue, ToDeadLetters)
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
        lane = self._lanes[type(to)]
        give_up_at = asyncio.get_running_loop().time() + self._timeout
        await self._enter(lane, give_up_at)
        try:
            outcome = await self._send(lane, message.body, properties, to, give_up_at)
        finally:
            self._window.release()
        if outcome == "late":
            raise self._gave_up()
        if outcome == "returned":
            raise Unroutable(_target(to))
        if outcome == "refused":
            raise _refused(to)

    async def _enter(self, lane: Lane, give_up_at: float) -> None:
        """Wait for a place in the window, and for the lane's channel. Under way, there is nothing to wait for."""
        if lane.at_once and not self._window.locked():
            await self._window.acquire()
            return
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._window.acquire()
                try:
                    await lane.opened()
                except BaseException:
                    self._window.release()
                    raise
        except TimeoutError:
            raise self._gave_up() from None

    async def _send(
        self, lane: Lane, body: bytes, properties: Properties, to: Address, give_up_at: float
    ) -> Outcome:
        exchange, key = self._route(to)
        try:
            with border("publishing"):
                return await lane.post(body, properties, exchange, key, give_up_at)
        except BrokerUnavailable as lost:
            if isinstance(lost.__cause__, ChannelNotFoundEntity):
                self._missing()
            raise

    def _gave_up(self) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"RabbitMQ did not confirm a publish within {self._timeout:g} s",
            remedy="It may still arrive. Look for a memory or disk alarm: `rabbitmq-diagnostics alarms`.",
        )

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


def _target(to: Address) -> str:
    return to.event if isinstance(to, ToSubscribers) else to.queue


def _refused(to: Address) -> Overloaded:
    target = _target(to)
    worker = target if isinstance(to, ToSubscribers) else ".".join(target.split(".")[2:])
    return Overloaded(f"RabbitMQ refuses {target}: the queue is full", worker=worker, retry_after=RETRY_AFTER)
