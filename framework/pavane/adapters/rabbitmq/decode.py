"""Reading what RabbitMQ sends without ever losing the connection over it.

The stock decoder raises inside the connection's reader when a message carries a timestamp out of range,
bad UTF-8 in a short string or headers nested thousands deep. The connection drops, the broker delivers
the message again, and so on for ever, before any code of ours runs: no check in a handler can help.
Here such a value becomes an `Unreadable`, everything else is read as usual, and the message is delivered.

Without `install` one hostile message stops every consumer of its queue for good.

Tables are read by offset instead of by slicing what is left, so a header costs the same wherever it stands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import pamqp.decode
import pamqp.frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

DEPTH_LIMIT: Final = 32
"""Tables and arrays nested deeper than this are skipped. Honest messages nest two or three deep."""

_UINT32: Final = struct.Struct(">I")
_UINT64: Final = struct.Struct(">Q")
_CONTENT: Final = struct.Struct(">HH")


class Unreadable(str):
    """Stands where a value could not be read; its text says why, or what was left of the value."""

    __slots__ = ()


Reader = Callable[[bytes, int], tuple[int, Any]]
"""Reads one value at an offset; answers the offset behind it, and the value."""


def _fixed(layout: str) -> Reader:
    packed = struct.Struct(layout)
    size = packed.size

    def read(data: bytes, at: int) -> tuple[int, Any]:
        return at + size, packed.unpack_from(data, at)[0]

    return read


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Unreadable(raw.decode(errors="backslashreplace"))


# Names of headers are the same few again and again.
_name = lru_cache(maxsize=1024)(_text)


def _short_string(data: bytes, at: int) -> tuple[int, str]:
    start = at + 1
    end = start + data[at]
    return end, _text(data[start:end])


def _long_string(data: bytes, at: int) -> tuple[int, str | bytes]:
    start = at + 4
    end = start + _UINT32.unpack_from(data, at)[0]
    raw = data[start:end]
    try:
        return end, raw.decode()
    except UnicodeDecodeError:
        return end, raw


def _octets(data: bytes, at: int) -> tuple[int, bytes]:
    start = at + 4
    end = start + _UINT32.unpack_from(data, at)[0]
    return end, data[start:end]


def _decimal(data: bytes, at: int) -> tuple[int, Decimal]:
    return at + 5, Decimal(_UINT32.unpack_from(data, at + 1)[0]).scaleb(-data[at])


def _timestamp(data: bytes, at: int) -> tuple[int, datetime | Unreadable]:
    seconds = _UINT64.unpack_from(data, at)[0]
    # Past the year 2106 it is rather milliseconds, which some clients send.
    moment = seconds / 1000 if seconds > 0xFFFFFFFF else seconds
    try:
        return at + 8, datetime.fromtimestamp(moment, UTC)
    except (ValueError, OverflowError, OSError):
        return at + 8, Unreadable(f"timestamp {seconds} out of range")


def _nothing(data: bytes, at: int) -> tuple[int, None]:
    return at, None


_SCALARS: Final[dict[int, Reader]] = {
    ord("t"): _fixed(">?"),
    ord("b"): _fixed(">b"),
    ord("B"): _fixed(">B"),
    ord("s"): _fixed(">h"),
    ord("u"): _fixed(">H"),
    ord("I"): _fixed(">i"),
    ord("i"): _fixed(">I"),
    ord("l"): _fixed(">q"),
    ord("L"): _fixed(">q"),
    ord("f"): _fixed(">f"),
    ord("d"): _fixed(">d"),
    ord("D"): _decimal,
    ord("S"): _long_string,
    ord("T"): _timestamp,
    ord("V"): _nothing,
    0: _nothing,
    ord("x"): _octets,
}
_LONG_STRING: Final = ord("S")
_TABLE: Final = ord("F")
_ARRAY: Final = ord("A")


def _value(data: bytes, at: int, depth: int) -> tuple[int, Any]:
    kind = data[at]
    if kind == _TABLE:
        return _table(data, at + 1, depth + 1)
    if kind == _ARRAY:
        return _array(data, at + 1, depth + 1)
    return _SCALARS[kind](data, at + 1)


def _table(data: bytes, at: int, depth: int = 0) -> tuple[int, dict[str, Any] | Unreadable]:
    """A table whose inside is broken or too deep is skipped by its length; what was read before stays."""
    end = at + 4 + _UINT32.unpack_from(data, at)[0]
    if depth > DEPTH_LIMIT:
        return end, Unreadable(f"nested deeper than {DEPTH_LIMIT}")
    at += 4
    found: dict[str, Any] = {}
    try:
        while at < end:
            start = at + 1
            at = start + data[at]
            key = _name(data[start:at])
            if data[at] == _LONG_STRING:  # nearly all headers are text: read here, without a call
                start = at + 5
                at = start + _UINT32.unpack_from(data, at + 1)[0]
                raw = data[start:at]
                try:
                    found[key] = raw.decode()
                except UnicodeDecodeError:
                    found[key] = raw
            else:
                at, found[key] = _value(data, at, depth)
            if type(key) is Unreadable:
                found[key] = Unreadable("header name is not UTF-8")
    except (struct.error, IndexError, KeyError):
        at = -1
    if at != end:
        found["unreadable"] = Unreadable("malformed table")
    return end, found


def _array(data: bytes, at: int, depth: int) -> tuple[int, list[Any] | Unreadable]:
    end = at + 4 + _UINT32.unpack_from(data, at)[0]
    if depth > DEPTH_LIMIT:
        return end, Unreadable(f"nested deeper than {DEPTH_LIMIT}")
    at += 4
    found: list[Any] = []
    try:
        while at < end:
            at, value = _value(data, at, depth)
            found.append(value)
    except (struct.error, IndexError, KeyError):
        at = -1
    if at != end:
        found.append(Unreadable("malformed array"))
    return end, found


def _octet(data: bytes, at: int) -> tuple[int, int]:
    return at + 1, data[at]


# The properties of a message in the order of their flag bits, from the highest down.
PROPERTIES: Final[tuple[tuple[str, Reader], ...]] = (
    ("content_type", _short_string),
    ("content_encoding", _short_string),
    ("headers", _table),
    ("delivery_mode", _octet),
    ("priority", _octet),
    ("correlation_id", _short_string),
    ("reply_to", _short_string),
    ("expiration", _short_string),
    ("message_id", _short_string),
    ("timestamp", _timestamp),
    ("message_type", _short_string),
    ("user_id", _short_string),
    ("app_id", _short_string),
    ("cluster_id", _short_string),
)


@lru_cache(maxsize=64)
def present(flags: int) -> tuple[tuple[str, Reader], ...]:
    """The properties that these flags announce: messages come with the same few combinations again and again."""
    return tuple((name, read) for place, (name, read) in enumerate(PROPERTIES) if flags & (0x8000 >> place))


def read_properties(data: bytes) -> tuple[int, dict[str, Any]]:
    """A header frame: the size of the body, and the properties that are there, as far as they can be read."""
    found: dict[str, Any] = {}
    at = 14
    try:
        for name, read in present(int.from_bytes(data[12:14], "big")):
            at, found[name] = read(data, at)
    except (struct.error, IndexError, KeyError):
        found["headers"] = {"unreadable": Unreadable("malformed properties")}
    return _UINT64.unpack_from(data, 4)[0], found


def content_header(data: bytes) -> ContentHeader:
    """A header frame as pamqp has it, for what is not read here."""
    header = ContentHeader()
    header.class_id, header.weight = _CONTENT.unpack_from(data)
    header.body_size, found = read_properties(data)
    for name, value in found.items():
        setattr(header.properties, name, value)
    return header


def _from_start(read: Callable[[bytes, int], tuple[int, Any]]) -> Callable[[bytes], tuple[int, Any]]:
    def decode(data: bytes) -> tuple[int, Any]:
        return read(data, 0)

    return decode


def named_properties(properties: Basic.Properties) -> dict[str, Any]:
    """The properties that are there, as `read_properties` gives them."""
    named = ((name, getattr(properties, name)) for name, _ in PROPERTIES)
    return {name: value for name, value in named if value is not None}


def unreadable_properties(properties: Mapping[str, object]) -> list[str]:
    """Which properties could not be read, and why; empty for an honest message. Headers are not looked at."""
    return [f"{name}: {value}" for name, value in properties.items() if type(value) is Unreadable]


def install() -> None:
    """Put the tolerant readers in the place of pamqp's, for the whole process. Idempotent."""
    pamqp.decode.METHODS["shortstr"] = _from_start(_short_string)
    pamqp.decode.METHODS["timestamp"] = _from_start(_timestamp)
    pamqp.decode.METHODS["table"] = _from_start(_table)
    setattr(pamqp.frame, "_unmarshal_header_frame", content_header)  # noqa: B010 - a private name
