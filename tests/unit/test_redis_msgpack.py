"""MessagePack as Redis's Lua writes it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from pavane.adapters.redis.msgpack import unpacked, unpacked_first


def number(head: int, code: str, value: float) -> bytes:
    return bytes([head]) + struct.pack(f">{code}", value)


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\xff", -1),
        (b"\xe0", -32),
        (number(0xCC, "B", 200), 200),
        (number(0xCD, "H", 60_000), 60_000),
        (number(0xCE, "I", 4_000_000_000), 4_000_000_000),
        (number(0xCF, "Q", 1_732_090_000_000), 1_732_090_000_000),
        (number(0xD0, "b", -100), -100),
        (number(0xD1, "h", -30_000), -30_000),
        (number(0xD2, "i", -2_000_000_000), -2_000_000_000),
        (number(0xD3, "q", -1_732_090_000_000), -1_732_090_000_000),
        (number(0xCA, "f", 0.5), 0.5),
        (number(0xCB, "d", 0.1), 0.1),
        (b"\xc0", None),
        (b"\xc2", False),
        (b"\xc3", True),
        (b"\xa0", ""),
        (b"\xa3\xc3\xbca", "üa"),
        (b"\xd9\x28" + b"x" * 40, "x" * 40),
        (b"\xda\x01\x00" + b"x" * 256, "x" * 256),
        (b"\xdb\x00\x01\x00\x00" + b"x" * 65_536, "x" * 65_536),
        (b"\x90", []),
        (b"\x92\x01\xa1b", [1, "b"]),
        (b"\xdc\x00\x10" + b"\x07" * 16, [7] * 16),
        (b"\xdd\x00\x00\x00\x01\x91\x05", [[5]]),
        (b"\x80", {}),
        (b"\x82\xa1a\x01\xa1b\x81\xa1c\x90", {"a": 1, "b": {"c": []}}),
        (b"\xde\x00\x01\xa1a\x01", {"a": 1}),
        (b"\xdf\x00\x00\x00\x01\xa1a\x01", {"a": 1}),
    ],
)
def test_every_sort_of_value_is_read(stored: bytes, value: Any) -> None:
    assert unpacked(stored) == value


def test_bytes_behind_the_first_value_come_as_they_are() -> None:
    assert unpacked_first(b"\x81\xa1a\x01\xff\n{}") == ({"a": 1}, b"\xff\n{}")
    assert unpacked_first(b"\x81\xa1a\x01") == ({"a": 1}, b"")


@pytest.mark.parametrize(
    "stored", [b"", b"\xa3ab", b"\x92\x01", b"\xcf\x00", b"\xc1", b'{"key":', b"\xa1\xff"]
)
def test_damaged_bytes_are_a_value_error(stored: bytes) -> None:
    with pytest.raises(ValueError):
        unpacked(stored)
