"""Publishes and acknowledgements as the bytes of their frames.

`Channel.basic_publish` builds, validates and encodes three objects for each message, inside four context
managers; a chain of steps spends a tenth of its time there. What a publish says is the same but for the body,
the properties and a routing key of which there are few, so the frames are put together here.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from pavane.adapters.rabbitmq.encode import Properties

_FRAME = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HHQ")
_PUBLISH = struct.Struct(">HHH")
_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_ACK = struct.Struct(">HHQB")
_BASIC, _BASIC_PUBLISH, _BASIC_ACK = 60, 40, 80
_MANDATORY = b"\x01"


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
