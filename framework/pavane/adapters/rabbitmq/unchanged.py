"""Messages that are passed on as they came, byte for byte, whatever their sender has put into them.

What this package cannot read a worker has to find unreadable, too; and what RabbitMQ has written into a message
it dead-lettered says where it came from. So nothing is decoded here that need not be.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from pavane.adapters.rabbitmq.decode import PROPERTIES, present
from pavane.adapters.rabbitmq.encode import Properties, short_string

CONTENT: Final = "content"
_FLAGS: Final = struct.Struct(">H")
_SIZE: Final = struct.Struct(">Q")


def read_unchanged(data: bytes) -> tuple[int, Mapping[str, Any]]:
    """A header frame: the size of the body, and all of the frame as the property `content`."""
    return _SIZE.unpack_from(data, 4)[0], {CONTENT: data}


class Unchanged(Properties):
    """The properties of a header frame once more, but for what has to be the publisher's own.

    Args:
        content: the header frame's payload.
        message_id: instead of the old one: returned messages are matched by it.
        user: instead of the old one, if there is any: RabbitMQ refuses a user that is not the connection's.
    """

    __slots__ = ()

    def __init__(self, content: bytes, *, message_id: str, user: str | None) -> None:
        self.message_id = message_id
        parts = parts_of(content)
        parts["message_id"] = short_string(message_id)
        if parts.pop("user_id", None) is not None and user is not None:
            parts["user_id"] = short_string(user)
        flags = sum(0x8000 >> place for place, (name, _) in enumerate(PROPERTIES) if name in parts)
        self._bytes = b"".join(
            [_FLAGS.pack(flags), *(parts[name] for name, _ in PROPERTIES if name in parts)]
        )


def parts_of(content: bytes) -> dict[str, bytes]:
    """The bytes of each property. RabbitMQ has read them before it took the message: they can be told apart."""
    parts: dict[str, bytes] = {}
    at = 14
    for name, read in present(int.from_bytes(content[12:14], "big")):
        start = at
        at, _ = read(content, at)
        parts[name] = content[start:at]
    return parts
