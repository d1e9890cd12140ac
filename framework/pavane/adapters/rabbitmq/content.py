"""Messages put together from their frames, on channels that consume."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from pavane.adapters.rabbitmq.decode import read_properties
from pavane.adapters.rabbitmq.tap import BODY, HEADER, METHOD

_DELIVER = struct.pack(">HH", 60, 60)
_TAG = struct.Struct(">Q")

Properties = Mapping[str, Any]


class Deliveries:
    """Hands each message that is delivered on a channel to `receive`: its tag, properties and body.

    Args:
        read: makes the body's size and the properties of a header frame.
    """

    def __init__(
        self,
        receive: Callable[[int, Properties, bytes], None],
        read: Callable[[bytes], tuple[int, Properties]] = read_properties,
    ) -> None:
        self._receive = receive
        self._read = read
        self._tag = 0
        self._properties: Properties = {}
        self._left = 0
        self._body: list[bytes] = []

    def take(self, kind: int, data: bytes, at: int, size: int) -> bool:
        """See `tap.Taker`. The frames of one message follow each other, on their channel."""
        if kind == METHOD:
            if data[at : at + 4] != _DELIVER:
                return False
            self._tag = _TAG.unpack_from(data, at + 5 + data[at + 4])[0]
            return True
        if not self._tag:
            return False
        if kind == HEADER:
            self._left, self._properties = self._read(data[at : at + size])
        elif kind == BODY:
            self._body.append(data[at : at + size])
            self._left -= size
        if self._left <= 0:
            self._hand_over()
        return True

    def _hand_over(self) -> None:
        tag, properties, body = self._tag, self._properties, b"".join(self._body)
        self._tag = 0
        self._body.clear()
        self._receive(tag, properties, body)
