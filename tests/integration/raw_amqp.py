"""A publisher that writes frames by hand, because every client library refuses to send what is sent here."""

from __future__ import annotations

import socket
import struct
from typing import Any, Self
from urllib.parse import urlsplit

from pamqp import commands, frame, header
from pamqp.base import Frame

LARGEST_PART = 131_072 - 8
"""Bytes of a body in one frame; RabbitMQ's frames have 128 KiB at most."""

CONTENT_TYPE, HEADERS, MESSAGE_ID, TIMESTAMP = 0x8000, 0x2000, 0x0080, 0x0040


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(*entries: bytes) -> bytes:
    content = b"".join(entries)
    return struct.pack(">I", len(content)) + content


def entry(name: bytes, kind: bytes, value: bytes) -> bytes:
    return short(name) + kind + value


def text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def nested_tables(depth: int) -> bytes:
    value = table()
    for _ in range(depth):
        value = table(entry(b"n", b"F", value))
    return value


def nested_arrays(depth: int) -> bytes:
    value = table()
    for _ in range(depth):
        value = table(b"A" + value)
    return value


def properties(flags: int, *values: bytes) -> bytes:
    """Flags and values of a content header, in the order of the flags from the highest down."""
    return struct.pack(">H", flags) + b"".join(values)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "timestamp": (properties(TIMESTAMP, struct.pack(">Q", 2**63)), "timestamp"),
    "timestamp of the year 300,000": (properties(TIMESTAMP, struct.pack(">Q", 10**16)), "timestamp"),
    "timestamp in a header": (
        properties(HEADERS, table(entry(b"when", b"T", struct.pack(">Q", 2**64 - 1)))),
        "header when",
    ),
    "content type": (properties(CONTENT_TYPE, short(b"text/\xff\xfe")), "content_type"),
    "message id": (properties(MESSAGE_ID, short(b"\xc3\x28")), "message_id"),
    "header name": (properties(HEADERS, table(entry(b"\xff", b"S", text(b"v")))), "header"),
    "header value": (properties(HEADERS, table(entry(b"run", b"S", text(b"\xff")))), "header run"),
    "nested tables": (properties(HEADERS, table(entry(b"deep", b"F", nested_tables(3000)))), "header deep"),
    "nested arrays": (properties(HEADERS, table(entry(b"deep", b"A", nested_arrays(3000)))), "header deep"),
    "a table": (properties(HEADERS, table(entry(b"flat", b"F", nested_tables(1)))), "header flat"),
    "CC": (
        properties(HEADERS, table(entry(b"CC", b"A", table(b"S" + text(b"other.key"))))),
        "header CC",
    ),
}
"""Properties that a message can have on the wire, and what the delivery's problem must name."""


class RawPublisher:
    """A connection to RabbitMQ with one channel in confirm mode. Blocking: use it in a thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=10)
        # Else each message waits 40 ms for the acknowledgement of its first frame.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = self._socket.makefile("rb")
        self._socket.sendall(header.ProtocolHeader().marshal())
        self._expect(commands.Connection.Start)
        login = f"\0{parts.username}\0{parts.password}"
        self._send(0, commands.Connection.StartOk({}, "PLAIN", login, "en_US"))
        tune = self._expect(commands.Connection.Tune)
        self._send(0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        self._call(0, commands.Connection.Open("/"), commands.Connection.OpenOk)
        self._call(1, commands.Channel.Open(), commands.Channel.OpenOk)
        self._call(1, commands.Confirm.Select(), commands.Confirm.SelectOk)

    def publish(self, exchange: str, key: str, properties: bytes, body: bytes) -> None:
        """Publish one message, and wait for its confirm."""
        self._send(1, commands.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True))
        self._frame(2, 1, struct.pack(">HHQ", commands.Basic.frame_id, 0, len(body)) + properties)
        for start in range(0, len(body), LARGEST_PART):
            self._frame(3, 1, body[start : start + LARGEST_PART])
        self._expect(commands.Basic.Ack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self._socket.close()

    def _call(self, channel: int, method: Frame, reply: type[Any]) -> Any:
        self._send(channel, method)
        return self._expect(reply)

    def _send(self, channel: int, method: Frame) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _frame(self, kind: int, channel: int, payload: bytes) -> None:
        self._socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def _expect(self, kind: type[Any]) -> Any:
        start = self._input.read(7)
        _, _, size = struct.unpack(">BHI", start)
        _, _, received = frame.unmarshal(start + self._input.read(size + 1))
        assert isinstance(received, kind), f"expected {kind}, got {received}"
        return received
