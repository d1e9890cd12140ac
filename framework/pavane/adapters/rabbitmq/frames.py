"""Publishes and acknowledgements as the bytes of their frames, handed to the channel beneath aio-pika.

`Channel.basic_publish` builds, validates and encodes three objects for each message, inside four context
managers; a chain of steps spends a tenth of its time there. What a publish says is the same but for the body,
the properties and a routing key of which there are few, so the frames are put together here. Tags, confirms
and returns stay the channel's own affair.
"""

from __future__ import annotations

import asyncio
import struct
from functools import lru_cache
from typing import Protocol, cast

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError

from pavane.adapters.rabbitmq.encode import Properties

_FRAME = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HHQ")
_PUBLISH = struct.Struct(">HHH")
_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_ACK = struct.Struct(">HHQB")
_BASIC, _BASIC_PUBLISH, _BASIC_ACK = 60, 40, 80
_MANDATORY = b"\x01"


class Beneath(Protocol):
    """What is used here of `aiormq.channel.Channel`, whose own types leave it open."""

    number: int
    max_content_size: int
    delivery_tag: int
    confirmations: dict[int, asyncio.Future[object]]
    message_id_delivery_tag: dict[str, int]
    write_queue: asyncio.Queue[ChannelFrame]

    @property
    def is_closed(self) -> bool: ...

    def create_future(self) -> asyncio.Future[object]: ...


def beneath(channel: Channel) -> Beneath:
    return cast("Beneath", channel)


async def post(
    channel: Beneath,
    turn: asyncio.Lock,
    body: bytes,
    properties: Properties,
    *,
    exchange: str,
    routing_key: str,
) -> asyncio.Future[object]:
    """Hand a mandatory publish to `channel`; the future is its confirm.

    The broker counts publishes and confirms by number, so numbers follow the order of the writes: without
    waiting in between, or, while the connection's queue is full, one at a time (`turn`).

    Raises:
        What aiormq raises for a channel that is closed.
    """
    payload = publish_frames(
        channel.number, channel.max_content_size, body, properties, exchange, routing_key
    )
    frame = ChannelFrame(payload=payload, should_close=False)
    if turn.locked() or channel.write_queue.full():
        async with turn:
            return await _post_in_turn(channel, frame, properties.message_id)
    confirm = _expect(channel, properties.message_id)
    channel.write_queue.put_nowait(frame)
    return confirm


async def _post_in_turn(channel: Beneath, frame: ChannelFrame, message_id: str) -> asyncio.Future[object]:
    confirm = _expect(channel, message_id)
    try:
        await channel.write_queue.put(frame)
    except BaseException:
        # The broker has not seen it: its number is free again.
        channel.confirmations.pop(channel.delivery_tag, None)
        channel.delivery_tag -= 1
        forget(channel, message_id)
        confirm.cancel()
        raise
    return confirm


def _expect(channel: Beneath, message_id: str) -> asyncio.Future[object]:
    """Take the next number, and expect its confirm."""
    if channel.is_closed:
        raise ChannelInvalidStateError("the channel is closed")
    channel.delivery_tag += 1
    confirm = channel.create_future()
    channel.confirmations[channel.delivery_tag] = confirm
    channel.message_id_delivery_tag[message_id] = channel.delivery_tag
    return confirm


def forget(channel: Beneath, message_id: str) -> None:
    """A publish is settled: a return can no longer mean it."""
    channel.message_id_delivery_tag.pop(message_id, None)


def publish_frames(
    number: int, largest: int, body: bytes, properties: Properties, exchange: str, routing_key: str
) -> bytes:
    """The method, header and body frames of one message on channel `number`."""
    content = _CONTENT.pack(_BASIC, 0, len(body)) + properties.marshal()
    parts = [
        _method(number, exchange, routing_key),
        _FRAME.pack(_HEADER, number, len(content)),
        content,
        _END,
    ]
    for start in range(0, len(body), largest):
        chunk = body[start : start + largest]
        parts += [_FRAME.pack(_BODY, number, len(chunk)), chunk, _END]
    return b"".join(parts)


@lru_cache(maxsize=4096)
def _method(number: int, exchange: str, routing_key: str) -> bytes:
    words = b"".join(bytes([len(raw)]) + raw for raw in (exchange.encode(), routing_key.encode()))
    payload = _PUBLISH.pack(_BASIC, _BASIC_PUBLISH, 0) + words + _MANDATORY
    return _FRAME.pack(_METHOD, number, len(payload)) + payload + _END


def ack_frame(number: int, tag: int, *, multiple: bool = False) -> bytes:
    """The frame that acknowledges a delivery on channel `number`; with `multiple`, all before it too."""
    payload = _ACK.pack(_BASIC, _BASIC_ACK, tag, multiple)
    return _FRAME.pack(_METHOD, number, len(payload)) + payload + _END
