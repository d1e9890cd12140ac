"""Properties and headers for `raw_amqp`, written as no client library would write them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from tests.integration.raw_amqp import CONTENT_TYPE, HEADERS, entry, properties, short, table, text

JSON = b"application/json"

HeaderValue = str | int | float | bool | bytes


def message_properties(headers: Mapping[str, HeaderValue], content_type: bytes | None = JSON) -> bytes:
    """A content header with these flat headers; `content_type=None` leaves that out."""
    values = table(*(entry(name.encode(), *_value(value)) for name, value in headers.items()))
    if content_type is None:
        return properties(HEADERS, values)
    return properties(CONTENT_TYPE | HEADERS, short(content_type), values)


def _value(value: HeaderValue) -> tuple[bytes, bytes]:
    if isinstance(value, bytes):
        return b"S", text(value)
    if isinstance(value, str):
        return b"S", text(value.encode())
    if isinstance(value, bool):
        return b"t", bytes([value])
    if isinstance(value, int):
        return b"l", struct.pack(">q", value)
    return b"d", struct.pack(">d", value)


def event_headers(name: str, event_id: str, **more: HeaderValue) -> dict[str, HeaderValue]:
    """Headers of an event that are as they should be, and others; `_` in a name stands for `-`."""
    good: dict[str, HeaderValue] = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": event_id,
        "cloudEvents_type": name,
        "cloudEvents_source": "elsewhere",
        "cloudEvents_time": "2026-01-01T00:00:00Z",
    }
    return good | {header.replace("_", "-"): value for header, value in more.items()}
