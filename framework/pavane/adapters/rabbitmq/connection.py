"""One connection to RabbitMQ that comes back by itself.

A broker adapter keeps two of them, one to publish and one to consume: while RabbitMQ is short of memory or
disk it stops reading from connections that publish, and an acknowledgement on such a connection would hang.

aio-pika's own robust connection waits a fixed time between attempts, knows one URL and restores channels
that it opened itself. Ours have consumers and publishers on the channels beneath, so they restore
themselves (`consumer`, `publisher`) and this file only brings the transport back: the next URL in turn,
after a random time, so that a fleet does not return in step.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import aio_pika
from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from yarl import URL

from pavane.adapters.rabbitmq.border import LOST, border, ending, place, unreachable
from pavane.adapters.rabbitmq.tap import Tap, Tapping
from pavane.errors import BrokerUnavailable

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
CLOSE_TIMEOUT = 1.0
FIRST_PAUSE = (0.1, 1.0)
PAUSE = (1.5, 3.5)
"""Seconds between attempts, drawn anew each time. Two connections so make under one attempt a second."""


class Link:
    """A connection, and the task that keeps it.

    Args:
        urls: nodes of one cluster, tried in turn.
        name: what the broker's own tools show for the connection.
        heartbeat: seconds; bounds how long a dead peer goes unnoticed (three times as long at most).
        first_contact: seconds that opening may take, all nodes together.
        comes_back: whether it is made again when it was lost; else it is closed then.
    """

    def __init__(
        self,
        urls: Sequence[URL],
        *,
        name: str,
        heartbeat: float,
        first_contact: float = CONNECT_TIMEOUT,
        comes_back: bool = True,
    ) -> None:
        self._urls = urls
        self._first_contact = first_contact
        self._users = [user_of(url) for url in urls]
        self._turn = 0
        self._name = name
        self._heartbeat = max(1, round(heartbeat))
        self._comes_back = comes_back
        self._transport: aio_pika.abc.AbstractConnection | None = None
        self._tap: Tap | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._closed = False
        self.connected = 0
        """How often it was connected so far."""

    @property
    def up(self) -> bool:
        """Whether the connection stands, as far as this process knows."""
        return self._up.is_set() and not self._closed

    @property
    def user(self) -> str | None:
        """The user that the broker knows us by; `None` if a certificate says so instead of the URL."""
        return self._users[self._turn % len(self._users)]

    async def open(self) -> None:
        """Connect to the first node that answers.

        Raises:
            BrokerUnavailable: none does; says for each where it is and what went wrong.
        """
        self._closed = False
        self._up.clear()
        refusals: list[BrokerUnavailable] = []
        for _ in self._urls:
            try:
                connection = await self._connect(self._first_contact / len(self._urls))
            except BrokerUnavailable as refusal:
                refusals.append(refusal)
                self._turn += 1
            else:
                self._up.set()
                self._keeper = asyncio.create_task(self._keep(connection), name=f"pavane {self._name}")
                return
        raise BrokerUnavailable(
            "; ".join(map(str, refusals)),
            remedy=" ".join(dict.fromkeys(refusal.remedy for refusal in refusals)),
        )

    async def close(self) -> None:
        """Disconnect and stop coming back. Takes seconds at most, whatever the connection is doing."""
        self._closed = True
        self._up.set()  # wakes whoever waits for a connection; `closed` is what it finds
        keeper, self._keeper = self._keeper, None
        if keeper:
            keeper.cancel()
            await asyncio.wait([keeper], timeout=CLOSE_TIMEOUT)
        await self._drop_transport()

    @property
    def at_once(self) -> bool:
        """Whether `ready` would not wait."""
        return self.up and self._tap is not None and not self._tap.blocked

    async def ready(self) -> AbstractConnection:
        """The connection as soon as it stands and the broker reads from it (no memory or disk alarm).

        Raises:
            BrokerUnavailable: closed by us.
        """
        while True:
            await self.wait_up()
            connection = self._beneath()
            await connection.ready()
            if not connection.is_closed:
                return connection
            # Closed, but the keeper has not run yet: give it its turn.
            await asyncio.sleep(0)

    async def channel(self, *, confirms: bool = False) -> Channel:
        """A new channel, which the caller closes. With `confirms` a returned message raises at its publish.

        Raises:
            BrokerUnavailable: the connection is down, or went down.
        """
        channel, _ = await self.tapped_channel(confirms=confirms)
        return channel

    async def tapped_channel(self, *, confirms: bool = False) -> tuple[Channel, Tap]:
        """A new channel, as `channel` gives, and the tap of its connection."""
        tap = self._tap
        if not self.up or tap is None:
            raise BrokerUnavailable(f"no connection to RabbitMQ at {self._where()}")
        with border("opening a channel"):
            channel = await self._beneath().channel(
                publisher_confirms=confirms, on_return_raises=True, timeout=CONNECT_TIMEOUT
            )
            return cast("Channel", channel), tap

    async def wait_up(self) -> None:
        """Return once the connection stands.

        Raises:
            BrokerUnavailable: closed by us.
        """
        await self._up.wait()
        if self._closed:
            raise BrokerUnavailable("the connection to RabbitMQ was closed by this process")

    def _beneath(self) -> AbstractConnection:
        """aiormq's connection: on its channels a chain of steps runs half as fast again as on aio-pika's."""
        if self._transport is None or self._transport.transport is None:
            raise BrokerUnavailable(f"no connection to RabbitMQ at {self._where()}")
        return self._transport.transport.connection

    def _where(self) -> str:
        return place(self._urls[self._turn % len(self._urls)])

    async def _connect(self, timeout: float = CONNECT_TIMEOUT) -> AbstractConnection:
        url = self._urls[self._turn % len(self._urls)]
        asked_before = _asked()
        try:
            tapped = await aio_pika.connect(
                url,
                timeout=timeout,
                heartbeat=self._heartbeat,
                client_properties={"connection_name": self._name},
                connection_class=_Tapped,
            )
            self._transport, self._tap = tapped, tapped.tapping.tap
            self.connected += 1
            return self._beneath()
        except asyncio.CancelledError:
            if _asked() > asked_before:
                raise
            raise unreachable(url, ConnectionResetError()) from None
        except Exception as error:
            # Whatever it is, there is no connection, and the keeper must try again. Not chained: some of the
            # library's errors carry the URL with the password.
            raise unreachable(url, error) from None

    async def _keep(self, connection: AbstractConnection) -> None:
        """Wait for the connection to end, bring back another, for ever."""
        while True:
            await asyncio.wait([ending(connection)])
            self._up.clear()
            log.warning("%s: connection to RabbitMQ at %s lost", self._name, self._where())
            if not self._comes_back:
                self._closed = True
                self._up.set()  # as `close` does
                return
            connection = await self._reconnect()
            self._up.set()
            log.info("%s: connected to RabbitMQ at %s again", self._name, self._where())

    async def _drop_transport(self) -> None:
        transport, self._transport, self._tap = self._transport, None, None
        if transport:
            with suppress(*LOST):
                await asyncio.wait_for(transport.close(), CLOSE_TIMEOUT)

    async def _reconnect(self) -> AbstractConnection:
        await self._drop_transport()
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(random.uniform(*pause))
            pause = PAUSE
            try:
                return await self._connect()
            except BrokerUnavailable as refusal:
                self._turn += 1
                log.warning("%s: %s", self._name, refusal)


class _Tapped(aio_pika.Connection):
    """A connection with a tap on its socket."""

    def __init__(self, url: URL, *args: Any, **kwargs: Any) -> None:
        super().__init__(url, *args, **kwargs)
        self.tapping = Tapping(self.url)
        self.kwargs["transport_factory"] = self.tapping


def user_of(url: URL) -> str | None:
    """The user that a URL names; `None` if a certificate says who connects."""
    if url.query.get("auth", "plain").lower() == "external":
        return None
    return url.user or "guest"


def _asked() -> int:
    """How often our own task was asked to cancel and has not declined."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0
