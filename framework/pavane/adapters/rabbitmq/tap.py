"""The socket of a connection: deliveries and confirms are taken out where they arrive, all else is aiormq's.

aiormq reads three times from a stream for each frame, three frames for each message, and hands them through
two queues and a task. A chain of steps spent a third of its time there. Here the frames of channels that have a
taker are read where the socket delivers them; frames of other kinds and channels go on to aiormq unchanged, so
that handshake, channels, declarations and closing stay its own affair. What is written here goes out together
with what else is written in the same turn of the loop, in one call of the system.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any, Final, Protocol, cast

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

log = logging.getLogger(__name__)

METHOD, HEADER, BODY = 1, 2, 3
_FRAME = struct.Struct(">BHI")
_AROUND: Final = 8
"""Bytes of a frame beside its payload: kind, channel and size before it, the end mark behind it."""

_END: Final = 0xCE
_LARGEST: Final = 2**24
"""No frame is larger, whatever was negotiated: this is not the protocol any more."""

_HEARTBEAT: Final = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_HEARTBEAT_EVERY: Final = 1.0
_BLOCKED, _UNBLOCKED = struct.pack(">HH", 10, 60), struct.pack(">HH", 10, 61)
_OPENED, _CLOSE = struct.pack(">HH", 20, 11), struct.pack(">HH", 20, 40)


class Taker(Protocol):
    """Takes frames of one channel."""

    def take(self, kind: int, data: bytes, at: int, size: int) -> bool:
        """The frame's payload is `size` bytes of `data` from `at` on; `False` leaves it to aiormq."""
        ...


class Tap(asyncio.Protocol):
    """Stands between the socket and aiormq's stream.

    `blocked` says that the broker reads nothing from connections that publish (memory or disk alarm).
    """

    def __init__(self, transport: asyncio.Transport, stream: asyncio.Protocol) -> None:
        self.blocked = False
        self._transport = transport
        self._stream = stream
        self._takers: dict[int, Taker] = {}
        self._ended: set[int] = set()
        self._rest = b""
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._passed_at = 0.0

    def serve(self, channel: int, taker: Taker) -> None:
        """Give `taker` the frames of a channel from now on."""
        self._takers[channel] = taker

    def leave(self, channel: int, taker: Taker) -> None:
        """A channel has ended; its number may have been given to another already."""
        if self._takers.get(channel) is taker:
            del self._takers[channel]

    def is_open(self, channel: int) -> bool:
        """Whether the broker has not ended the channel.

        aiormq knows it some turns of the loop later, and agrees before that. A frame that comes after its agreement
        is one of a channel that is not open, over which RabbitMQ ends the connection.
        """
        return channel not in self._ended

    def write(self, frames: bytes) -> None:
        """Send whole frames at the end of this turn of the loop."""
        self._out.append(frames)
        if len(self._out) == 1:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what was written, now."""
        if self._out:
            frames = b"".join(self._out)
            self._out.clear()
            if not self._transport.is_closing():
                self._transport.write(frames)

    # what the transport calls

    def data_received(self, data: bytes) -> None:
        """Hand out the whole frames; what is no frame is shown to aiormq, which ends the connection over it."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        others: list[bytes] = []
        while end - at >= _AROUND:
            kind, channel, size = _FRAME.unpack_from(data, at)
            after = at + size + _AROUND
            if size > _LARGEST or (after <= end and data[after - 1] != _END):
                others.append(data[at:])
                at = end
                break
            if after > end:
                break
            taker = self._takers.get(channel)
            if taker is None or not self._taken(taker, kind, data, at + 7, size):
                if kind == METHOD:
                    self._watch(channel, data[at + 7 : at + 11])
                others.append(data[at:after])
            at = after
        self._rest = data[at:]
        self._pass_on(others)

    def eof_received(self) -> bool | None:
        return self._stream.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._takers.clear()
        self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        self._stream.resume_writing()

    def _taken(self, taker: Taker, kind: int, data: bytes, at: int, size: int) -> bool:
        try:
            return taker.take(kind, data, at, size)
        except Exception:
            # Raised from here it would end the connection, and the next one over the same message.
            log.exception("a frame could not be read")
            return True

    def _watch(self, channel: int, method: bytes) -> None:
        """Note what the broker says of a channel or, on channel 0, of the connection."""
        if method == _CLOSE:
            self._ended.add(channel)
        elif method == _OPENED:
            self._ended.discard(channel)
        elif method == _BLOCKED:
            self.blocked = True
        elif method == _UNBLOCKED:
            self.blocked = False

    def _pass_on(self, frames: list[bytes]) -> None:
        """aiormq judges by what it sees whether the broker lives: a heartbeat stands for what was taken out."""
        now = self._loop.time()
        if frames:
            self._stream.data_received(b"".join(frames))
        elif now - self._passed_at >= _HEARTBEAT_EVERY:
            self._stream.data_received(_HEARTBEAT)
        else:
            return
        self._passed_at = now


class Tapping(TransportFactory):
    """Opens a connection's socket as aiormq does, and puts a `Tap` on it."""

    def __init__(self, url: URL) -> None:
        self._plain = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        self._tap: Tap | None = None

    @property
    def tap(self) -> Tap:
        if self._tap is None:
            raise RuntimeError("no socket was opened")
        return self._tap

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._plain.create(url, **kwargs)
        transport = cast("asyncio.Transport", writer.transport)
        self._tap = Tap(transport, cast("asyncio.Protocol", transport.get_protocol()))
        transport.set_protocol(self._tap)
        return reader, writer
