"""How whoever replaces a queue asks its consumers to change over: by an empty message among the others.

It reaches every process without a connection more, whatever it runs and wherever, and it asks for nothing but a
look: a consumer goes to the queue's interim or back from there, and stays where it is if there is none.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pavane.adapters.rabbitmq.encode import Properties, short_string

_TYPE: Final = "pavane.moved"
_FLAGS: Final = struct.pack(">H", 0x1000 | 0x0080 | 0x0020)
_PERSISTENT: Final = b"\x02"


class Marker(Properties):
    """The properties of such a message: its id, and its type."""

    __slots__ = ()

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id
        self._bytes = b"".join([_FLAGS, _PERSISTENT, short_string(message_id), short_string(_TYPE)])


def is_marker(properties: Mapping[str, Any], body: bytes) -> bool:
    """Whether a message only asks to change over."""
    return not body and properties.get("message_type") == _TYPE
