"""AMQP on the wire: frames, confirms and deliveries.

Delivery tags are given anew on the way to the client, so that a message may arrive twice, or after one that left
the broker later, as it may after a reconnect; acknowledgements are translated back, and those of the second copy
are kept here.
"""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.proxy.faults import Faults

FRAME: Final = struct.Struct(">BHI")
AROUND: Final = 8
"""Bytes of a frame beside its payload: kind, channel, size before it, the end mark behind it."""

METHOD, HEADER, BODY = 1, 2, 3
END: Final = 0xCE
PROTOCOL_HEADER: Final = 8
CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK = (20, 11), (20, 40), (20, 41)
DELIVER, GET_OK = (60, 60), (60, 71)
CONSUME_OK = (60, 21)
ACK, REJECT, NACK = (60, 80), (60, 90), (60, 120)
TAG: Final = struct.Struct(">Q")
NO_TAG: Final = 2**62
"""No delivery ever has it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `raw` holds all of it."""

    kind: int
    channel: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        return self.raw[7:-1]

    @property
    def method(self) -> tuple[int, int] | None:
        """Class and method, of a frame that holds a method."""
        if self.kind != METHOD:
            return None
        of_class, of_method = struct.unpack_from(">HH", self.raw, 7)
        return of_class, of_method

    def with_payload(self, payload: bytes) -> bytes:
        return FRAME.pack(self.kind, self.channel, len(payload)) + payload + bytes([END])


class Splitter:
    """Cuts what arrives into frames; `greeting` bytes before the first one are no frame."""

    def __init__(self, greeting: int = 0) -> None:
        self._greeting = greeting
        self._rest = b""

    def split(self, data: bytes) -> Iterator[Frame | bytes]:
        data, at = self._rest + data, 0
        if self._greeting and len(data) >= self._greeting:
            at, self._greeting = self._greeting, 0
            yield data[:at]
        while not self._greeting and len(data) - at >= AROUND:
            kind, channel, size = FRAME.unpack_from(data, at)
            after = at + size + AROUND
            if after > len(data):
                break
            if data[after - 1] != END:
                raise ValueError("this is not AMQP any more")
            yield Frame(kind, channel, data[at:after])
            at = after
        self._rest = data[at:]


@dataclass
class Message:
    """A delivery whose frames are being collected."""

    deliver: Frame
    rest: list[bytes] = field(default_factory=list[bytes])
    missing: int = -1
    """Bytes of the body that have not arrived; -1: not even the header has."""

    def add(self, frame: Frame) -> bool:
        """Take the next frame; whether it was the last one."""
        self.rest.append(frame.raw)
        if frame.kind == HEADER:
            (self.missing,) = struct.unpack_from(">Q", frame.raw, 7 + 4)
        else:
            self.missing -= len(frame.raw) - AROUND
        return self.missing == 0


@dataclass
class Channel:
    """One channel: its tags as the client knows them, each with the broker's (`None`: a second copy)."""

    life: int = 0
    consumes: bool = False
    last_tag: int = 0
    tags: dict[int, int | None] = field(default_factory=dict[int, int | None])
    arriving: Message | None = None

    def reopen(self) -> None:
        """Messages on their way to the channel as it was are not for the new one."""
        self.life += 1
        self.last_tag, self.arriving, self.consumes = 0, None, False
        self.tags.clear()

    def new_tag(self, of_broker: int | None) -> bytes:
        self.last_tag += 1
        self.tags[self.last_tag] = of_broker
        return TAG.pack(self.last_tag)

    def settled(self, tag: int, multiple: bool) -> list[int]:
        """The broker's tags for what the client settles."""
        chosen = [one for one in self.tags if one <= tag or tag == 0] if multiple else [tag]
        found = [self.tags.pop(one, None) for one in chosen]
        return [one for one in found if one is not None]


class AmqpConnection:
    """One connection to RabbitMQ.

    Args:
        send: gives bytes to the client beside what `down` returns.
    """

    def __init__(self, faults: Faults, send: Callable[[bytes], None]) -> None:
        self._faults = faults
        self._send = send
        self._channels: dict[int, Channel] = defaultdict(Channel)
        self._up, self._down = Splitter(PROTOCOL_HEADER), Splitter()

    def up(self, data: bytes) -> bytes:
        """From the client: acknowledgements get the broker's tags."""
        return b"".join(
            part if isinstance(part, bytes) else self._from_client(part) for part in self._up.split(data)
        )

    def down(self, data: bytes) -> bytes:
        """From the broker: deliveries get our tags, may be late or come twice; confirms may be lost."""
        return b"".join(
            part if isinstance(part, bytes) else self._from_broker(part) for part in self._down.split(data)
        )

    def ruin(self) -> bytes:
        """A frame for the broker over which it ends the channel of a consumer; empty if there is none."""
        consuming = [number for number, channel in self._channels.items() if channel.consumes]
        if not consuming:
            return b""
        chosen = self._faults.random.choice(consuming)
        payload = struct.pack(">HHQB", *ACK, NO_TAG, 0)
        return FRAME.pack(METHOD, chosen, len(payload)) + payload + bytes([END])

    def _from_client(self, frame: Frame) -> bytes:
        method = frame.method
        if method in (CHANNEL_CLOSE, CHANNEL_CLOSE_OK):
            self._channels[frame.channel].reopen()
        if method not in (ACK, REJECT, NACK):
            return frame.raw
        payload = frame.payload
        (tag,), bits = TAG.unpack_from(payload, 4), payload[12]
        multiple = method != REJECT and bool(bits & 1)
        kept = bits if method == REJECT else bits & ~1
        return b"".join(
            frame.with_payload(payload[:4] + TAG.pack(one) + bytes([kept]))
            for one in self._channels[frame.channel].settled(tag, multiple)
        )

    def _from_broker(self, frame: Frame) -> bytes:
        channel, method = self._channels[frame.channel], frame.method
        if channel.arriving is not None:
            if not channel.arriving.add(frame):
                return b""
            message, channel.arriving = channel.arriving, None
            return self._deliver(channel, message)
        if method == DELIVER:
            channel.arriving = Message(frame)
            return b""
        if method == CONSUME_OK:
            channel.consumes = True
        if method == GET_OK:
            return frame.with_payload(self._tagged(channel, frame, 4))
        if method in (CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK):
            channel.reopen()
        if method in (ACK, NACK) and self._faults.lose_confirms:
            self._faults.did["confirm lost"] += 1
            return b""
        return frame.raw

    def _deliver(self, channel: Channel, message: Message) -> bytes:
        """A whole message: now or later, once or twice."""
        late = self._faults.delay_deliveries
        if self._faults.repeats():
            self._later(late + self._faults.repeat_after, channel, message, copy=True)
        if late:
            self._faults.did["delivery delayed"] += 1
            self._later(late, channel, message, copy=False)
            return b""
        return self._frames(channel, message, copy=False)

    def _later(self, seconds: float, channel: Channel, message: Message, *, copy: bool) -> None:
        life = channel.life

        def deliver() -> None:
            if channel.life == life:
                self._send(self._frames(channel, message, copy=copy))

        asyncio.get_running_loop().call_later(seconds, deliver)

    def _frames(self, channel: Channel, message: Message, *, copy: bool) -> bytes:
        consumer_tag = message.deliver.raw[7 + 4]
        payload = self._tagged(channel, message.deliver, 5 + consumer_tag, copy=copy)
        return b"".join([message.deliver.with_payload(payload), *message.rest])

    @staticmethod
    def _tagged(channel: Channel, frame: Frame, at: int, *, copy: bool = False) -> bytes:
        """The payload with a tag of ours instead of the broker's at `at`."""
        payload = frame.payload
        (tag,) = TAG.unpack_from(payload, at)
        return payload[:at] + channel.new_tag(None if copy else tag) + payload[at + TAG.size :]
