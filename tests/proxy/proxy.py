"""A proxy in front of one server."""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self
from urllib.parse import urlsplit

from tests.proxy.amqp import AmqpConnection
from tests.proxy.faults import Faults
from tests.proxy.resp import RespConnection
from tests.proxy.thread import LoopThread
from tests.proxy.way import Way
from tests.servers import free_port

HOST = "127.0.0.1"
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER without any time: closing sends RST and forgets what was not sent."""


class Wire(Protocol):
    """What a protocol makes of the bytes of one connection."""

    def up(self, data: bytes) -> bytes: ...

    def down(self, data: bytes) -> bytes: ...


class FaultProxy(ABC):
    """Listens on a port of its own and passes connections on to the server at `url`. Use it as a context.

    All methods may be called from any thread but that of the proxies.

    Attributes:
        faults: what is done to what passes.
        connections: how many there were.
    """

    def __init__(self, thread: LoopThread, url: str) -> None:
        self.faults = Faults()
        self.connections = 0
        self._thread = thread
        self._target = urlsplit(url)
        self._port = free_port()
        self._listener: asyncio.Server | None = None
        self._up, self._down = asyncio.Event(), asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._wires: dict[Wire, Way] = {}

    @abstractmethod
    def _wire(self, send: Callable[[bytes], None], reset: Callable[[], None]) -> Wire:
        """What this proxy's protocol makes of a new connection."""

    @property
    def url(self) -> str:
        """The server's URL with the proxy's place instead of its own."""
        user = self._target.netloc.rpartition("@")[0]
        return self._target._replace(netloc=f"{user}{'@' if user else ''}{HOST}:{self._port}").geturl()

    def __enter__(self) -> Self:
        self.admit()
        self.heal()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.run(self._close())

    def stall(self, *, up: bool = True, down: bool = True) -> None:
        """Let nothing pass to the server (`up`) or to the client (`down`); connections are accepted and stay."""
        self._thread.run(self._set(not up, not down))

    def heal(self) -> None:
        """Let everything pass as it is; what was held back passes too."""
        self.faults.heal()
        self._thread.run(self._set(True, True))

    def aim(self, url: str) -> None:
        """Lead new connections to another server, as whoever follows a failover does; those that stand are reset."""
        self._target = urlsplit(url)
        self.reset()

    def reset(self) -> None:
        """End all connections at once, as a server does that has forgotten them (RST)."""
        self._thread.run(self._reset())

    def refuse(self) -> None:
        """Let nobody connect; connections that stand go on."""
        self._thread.run(self._stop_listening())

    def admit(self) -> None:
        """Listen, on the same port as before."""
        self._thread.run(self._listen())

    # in the proxies' thread

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self._port)

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()

    async def _set(self, up: bool, down: bool) -> None:
        for event, passes in ((self._up, up), (self._down, down)):
            if passes:
                event.set()
            else:
                event.clear()

    async def _reset(self) -> None:
        for writer in self._writers:
            hang_up(writer)

    async def _close(self) -> None:
        await self._stop_listening()
        await self._reset()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = asyncio.create_task(self._serve(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._writers.add(writer)
        try:
            with suppress(OSError):  # one side is gone, and the other is told so below
                there = await asyncio.open_connection(self._target.hostname, self._target.port)
                writers.append(there[1])
                self._writers.add(there[1])
                await self._pass_on((reader, writer), there)
        finally:
            for one in writers:
                self._writers.discard(one)
                hang_up(one)

    async def _pass_on(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Both ways, until one has ended: what it had to bring is through then."""

        def reset() -> None:
            hang_up(here[1])
            hang_up(there[1])

        wire = self._wire(lambda data: down.offer(data), reset)
        up = Way(here[0], there[1], self.faults, self._up, wire.up)
        down = Way(there[0], here[1], self.faults, self._down, wire.down)
        ways = {asyncio.create_task(way.run()) for way in (up, down)}
        self._wires[wire] = up
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
            here[1].close()
            there[1].close()
        finally:
            del self._wires[wire]
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


class AmqpProxy(FaultProxy):
    """In front of RabbitMQ."""

    def _wire(self, send: Callable[[bytes], None], reset: Callable[[], None]) -> Wire:
        return AmqpConnection(self.faults, send)

    def ruin_channel(self) -> bool:
        """Have the broker end the channel of one consumer; whether there is one."""
        return self._thread.run(self._ruin())

    async def _ruin(self) -> bool:
        ruins = [(way, wire.ruin()) for wire, way in self._wires.items() if isinstance(wire, AmqpConnection)]
        way, frame = next(((way, frame) for way, frame in ruins if frame), (None, b""))
        if way is not None:
            way.offer(frame)
        return way is not None


class RedisProxy(FaultProxy):
    """In front of Redis."""

    def _wire(self, send: Callable[[bytes], None], reset: Callable[[], None]) -> Wire:
        return RespConnection(self.faults, reset)


def hang_up(writer: asyncio.StreamWriter) -> None:
    """RST."""
    ours: socket.socket | None = writer.get_extra_info("socket")
    if ours is not None and not writer.transport.is_closing():
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()
