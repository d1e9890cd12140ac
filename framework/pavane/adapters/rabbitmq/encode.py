"""The properties of a message as bytes.

pamqp writes every float with 32 bits, so that 0.1 arrives as 0.10000000149, and cuts header names at 128
bytes: what a job carries in its headers must arrive as it was. They are also half of pamqp's time.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import lru_cache

from pavane.errors import TooLarge
from pavane.ports.broker import HeaderValue, Message

MAX_HEADERS = 16 * 1024
"""Bytes of all headers of an event."""

MAX_HEADERS_OF_COPIES = 120 * 1024
"""Of a letter or a copy, which pass on what somebody else has sent. Headers travel in one frame, and one past the
broker's frame size (128 KiB) ends the connection with everything in flight on it."""

_FLAGS = struct.Struct(">H")
_LENGTH = struct.Struct(">I")
_INT32 = struct.Struct(">ci")
_INT64 = struct.Struct(">cq")
_DOUBLE = struct.Struct(">cd")
_TEXT = struct.Struct(">cI")

_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _MESSAGE_ID, _USER_ID = 0x8000, 0x2000, 0x1000, 0x0080, 0x0010
_PERSISTENT = b"\x02"


class Properties:
    """Stands in for pamqp's properties when publishing: it knows its message id and its bytes.

    Args:
        message: `content_type` and `headers` are taken; headers whose name starts with `x-` are left out, for
            those are the broker's own.
        message_id: unique per publish: returned messages are matched by it.
        user: the connection's user, which the broker checks; `None` leaves it out.
        max_headers: bytes of all headers together.

    Raises:
        TooLarge: headers over `max_headers`.
        ValueError: a name over 255 bytes, an integer over 64 bits, or a float that is no number (over which
            RabbitMQ drops the connection).
    """

    __slots__ = ("_bytes", "message_id")

    def __init__(
        self, message: Message, *, message_id: str, user: str | None, max_headers: int = MAX_HEADERS
    ) -> None:
        self.message_id = message_id
        flags = _HEADERS | _DELIVERY_MODE | _MESSAGE_ID
        parts = [_table(message.headers, max_headers), _PERSISTENT, _fresh(message_id)]
        if message.content_type is not None:
            flags |= _CONTENT_TYPE
            parts.insert(0, short_string(message.content_type))
        if user is not None:
            flags |= _USER_ID
            parts.append(short_string(user))
        self._bytes = b"".join([_FLAGS.pack(flags), *parts])

    def marshal(self) -> bytes:
        return self._bytes


def _table(headers: Mapping[str, HeaderValue], most: int) -> bytes:
    parts = [b""]
    for name, value in headers.items():
        if name.startswith("x-"):
            continue
        parts.append(short_string(name))
        if type(value) is str:  # nearly all of them: without a call
            text = value.encode()
            parts.append(_TEXT.pack(b"S", len(text)))
            parts.append(text)
        else:
            parts.append(_value(name, value))
    content = b"".join(parts)
    if len(content) > most:
        raise TooLarge(f"headers of {len(content)} bytes, the limit is {most}")
    return _LENGTH.pack(len(content)) + content


def _value(name: str, value: HeaderValue) -> bytes:
    if isinstance(value, str):
        text = value.encode()
        return _TEXT.pack(b"S", len(text)) + text
    if isinstance(value, bool):
        return b"t\x01" if value else b"t\x00"
    if isinstance(value, int):
        if -0x8000_0000 <= value <= 0x7FFF_FFFF:
            return _INT32.pack(b"I", value)
        if -(2**63) <= value < 2**63:
            return _INT64.pack(b"l", value)
        raise ValueError(f"header {name} does not fit in 64 bits: {value}")
    if not math.isfinite(value):
        raise ValueError(f"header {name} is {value}: not a finite number")
    return _DOUBLE.pack(b"d", value)


def _fresh(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 255:
        raise ValueError(f"longer than 255 bytes: {text[:40]}…")
    return bytes([len(raw)]) + raw


# Names of headers, the content type and the user are the same few again and again; message ids never are.
short_string = lru_cache(maxsize=1024)(_fresh)
