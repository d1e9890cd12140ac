"""Reading MessagePack, in which the scripts keep their rows: as JSON, a row takes Redis twice the work, or more."""

from __future__ import annotations

import struct
from typing import Any

_NUMBERS = {
    0xCA: struct.Struct(">f"),
    0xCB: struct.Struct(">d"),
    0xCC: struct.Struct(">B"),
    0xCD: struct.Struct(">H"),
    0xCE: struct.Struct(">I"),
    0xCF: struct.Struct(">Q"),
    0xD0: struct.Struct(">b"),
    0xD1: struct.Struct(">h"),
    0xD2: struct.Struct(">i"),
    0xD3: struct.Struct(">q"),
}
_WORDS: dict[int, bool | None] = {0xC0: None, 0xC2: False, 0xC3: True}
_LENGTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
"""Bytes of the length: of texts (the first three), lists, maps."""


def unpacked(stored: bytes) -> Any:
    """The one value that these bytes hold: maps are dicts with names, texts are UTF-8.

    Raises:
        ValueError: they hold anything else.
    """
    value, rest = unpacked_first(stored)
    if rest:
        raise ValueError(f"not one value of MessagePack: {stored[:40]!r}")
    return value


def unpacked_first(stored: bytes) -> tuple[Any, bytes]:
    """The value that these bytes begin with, and the rest of them."""
    try:
        value, stop = _value(stored, 0)
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"not MessagePack: {stored[:40]!r}") from error
    return value, stored[stop:]


def _value(stored: bytes, at: int) -> tuple[Any, int]:
    """The value that begins at this place, and where the next one does."""
    head = stored[at]
    at += 1
    if head <= 0x7F:
        return head, at
    if head >= 0xE0:
        return head - 0x100, at
    if head <= 0x8F:
        return _map(stored, at, head & 0x0F)
    if head <= 0x9F:
        return _list(stored, at, head & 0x0F)
    if head <= 0xBF:
        return _text(stored, at, head & 0x1F)
    if head in _WORDS:
        return _WORDS[head], at
    if head in _NUMBERS:
        number = _NUMBERS[head]
        return number.unpack_from(stored, at)[0], at + number.size
    size = _LENGTHS[head]
    length = int.from_bytes(stored[at : at + size])
    read = _text if head <= 0xDB else _list if head <= 0xDD else _map
    return read(stored, at + size, length)


def _text(stored: bytes, at: int, length: int) -> tuple[str, int]:
    stop = at + length
    if stop > len(stored):
        raise IndexError(stop)
    return stored[at:stop].decode(), stop


def _list(stored: bytes, at: int, length: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    for _ in range(length):
        value, at = _value(stored, at)
        found.append(value)
    return found, at


def _map(stored: bytes, at: int, length: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    for _ in range(length):
        name, at = _value(stored, at)
        found[name], at = _value(stored, at)
    return found, at
