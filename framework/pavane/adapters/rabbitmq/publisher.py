"""Publishing with confirms, many at a time, on few long-lived channels."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from itertools import count

from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity

from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.confirms import Outcome
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.encode import MAX_HEADERS, MAX_HEADERS_OF_COPIES, Properties
from pavane.adapters.rabbitmq.lane import Lane
from pavane.adapters.rabbitmq.topology import route
from pavane.core.topology import Names
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge
from pavane.ports.broker import (
    Address,
    Forbidden,
    Message,
    ToDeadLetters,
    ToQueue,
    ToSubscribers,
    Unroutable,
)

WINDOW = 100
"""Publishes in flight. One at a time makes 1,700 a second, a hundred 7,500. It bounds what waits in memory, too."""

RETRY_AFTER = 1.0

FORBIDDEN_FOR = 30.0
"""Seconds for which a refused exchange is not tried again."""

_REFUSED_EXCHANGE = re.compile(r"access to exchange '(?P<exchange>[^']*)' in vhost")


class Publisher:
    """Publishes on one connection.

    An error of a channel (an exchange that is gone, a permission refused) fails all that is in flight on it.
    So events, jobs and dead letters have a channel each: trouble with one leaves the others alone. And whether an
    exchange exists is asked before the first publish to it, which then is merely unroutable.

    Args:
        link: the connection.
        names: names of the namespace.
        timeout: seconds until a publish without confirm is given up, waiting for the connection included.
        max_body: bytes of an event's longest body. Letters and copies are what somebody else has sent: they
            are passed on whatever their size, or they could not be set aside.
        missing: called with the name of an exchange that does not exist; whether it is being declared again.
    """

    def __init__(
        self, link: Link, names: Names, *, timeout: float, max_body: int, missing: Callable[[str], bool]
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
        self._forbidden: dict[str, float] = {}
        # Returned messages are matched by message id: it must be unique per publish, the event's id is not.
        own = secrets.token_hex(6)
        self._message_ids = (f"{own}-{number:x}" for number in count())

    async def publish(self, message: Message, to: Address) -> None:
        """See `pavane.ports.broker.Broker.publish`."""
        is_event = isinstance(to, ToSubscribers)
        if is_event and len(message.body) > self._max_body:
            raise TooLarge(f"body of {len(message.body)} bytes, the limit is {self._max_body}")
        way = route(self._names, to)
        if way is None:
            raise Unroutable(_target(to))
        self._refuse_forbidden(way[0], to)
        properties = Properties(
            message,
            message_id=next(self._message_ids),
            user=self._link.user,
            max_headers=MAX_HEADERS if is_event else MAX_HEADERS_OF_COPIES,
        )
        lane = self._lanes[type(to)]
        give_up_at = asyncio.get_running_loop().time() + self._timeout
        is_known = await self._enter(lane, way[0], give_up_at)
        try:
            if not is_known:
                raise self._without_way(way[0], to)
            outcome = await self._send(lane, message.body, properties, to, way, give_up_at)
        finally:
            self._window.release()
        if outcome == "late":
            raise self._gave_up()
        if outcome == "returned":
            raise Unroutable(_target(to))
        if outcome == "refused":
            raise _refused(to)

    async def _enter(self, lane: Lane, exchange: str, give_up_at: float) -> bool:
        """Wait for a place in the window, and for the lane's channel; whether the exchange exists.

        Under way, there is nothing to wait for.
        """
        if lane.at_once(exchange) and not self._window.locked():
            await self._window.acquire()
            return True
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._window.acquire()
                try:
                    await lane.opened()
                    return await lane.knows(exchange)
                except BaseException:
                    self._window.release()
                    raise
        except TimeoutError:
            raise self._gave_up() from None

    async def _send(
        self,
        lane: Lane,
        body: bytes,
        properties: Properties,
        to: Address,
        way: tuple[str, str],
        give_up_at: float,
    ) -> Outcome:
        exchange, key = way
        self._refuse_forbidden(exchange, to)  # others may have been refused while this one waited
        try:
            with border("publishing"):
                return await lane.post(body, properties, exchange, key, give_up_at)
        except BrokerUnavailable as lost:
            if isinstance(lost.__cause__, ChannelNotFoundEntity):
                self._missing(exchange)
            if isinstance(lost.__cause__, ChannelAccessRefused) and _named_in(lost) == exchange:
                self._forbidden[exchange] = asyncio.get_running_loop().time() + FORBIDDEN_FOR
                raise Forbidden(_target(to)) from lost
            raise

    def _refuse_forbidden(self, exchange: str, to: Address) -> None:
        """Each refusal ends the channel: one is enough, until somebody may have permitted it."""
        if self._forbidden.get(exchange, 0.0) > asyncio.get_running_loop().time():
            raise Forbidden(_target(to))

    def _without_way(self, exchange: str, to: Address) -> BrokerUnavailable | Unroutable:
        if self._missing(exchange):
            return BrokerUnavailable(
                f"exchange {exchange} is gone and is being declared again",
                remedy="The call can be made again.",
            )
        return Unroutable(_target(to))

    def _gave_up(self) -> BrokerUnavailable:
        return BrokerUnavailable(
            f"RabbitMQ did not confirm a publish within {self._timeout:g} s",
            remedy="It may still arrive. Look for a memory or disk alarm: `rabbitmq-diagnostics alarms`.",
        )


def _target(to: Address) -> str:
    return to.event if isinstance(to, ToSubscribers) else to.queue


def _refused(to: Address) -> Overloaded:
    target = _target(to)
    worker = target if isinstance(to, ToSubscribers) else ".".join(target.split(".")[2:])
    return Overloaded(f"RabbitMQ refuses {target}: the queue is full", worker=worker, retry_after=RETRY_AFTER)


def _named_in(refusal: BrokerUnavailable) -> str | None:
    """The exchange that RabbitMQ names where it refuses access."""
    found = _REFUSED_EXCHANGE.search(str(refusal.__cause__))
    return found["exchange"] if found else None
