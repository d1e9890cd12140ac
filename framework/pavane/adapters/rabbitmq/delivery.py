"""A message as RabbitMQ delivered it, in the port's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from pavane.adapters.rabbitmq.decode import Unreadable, unreadable_properties
from pavane.core.migration import home
from pavane.ports.broker import HeaderValue, Message

_SCALARS = frozenset({str, int, float, bool})
_COPIES = frozenset({"CC", "BCC"})


@dataclass(slots=True)
class RabbitMQDelivery:
    """See `pavane.ports.broker.Delivery`."""

    message: Message
    queue: str
    delivery_count: int
    source_queue: str | None
    problem: str | None
    tag: int
    _settle: Callable[[int], None]

    def ack(self) -> None:
        self._settle(self.tag)


def read_delivery(
    tag: int, properties: Mapping[str, Any], body: bytes, queue: str, settle: Callable[[int], None]
) -> RabbitMQDelivery:
    """Take apart what was delivered from `queue`; `settle` is called with its tag by `ack`."""
    raw = cast("Mapping[str, Any]", properties.get("headers") or {})
    problems = unreadable_properties(properties)
    message = Message(
        body=body,
        headers=_headers(raw, problems),
        content_type=properties.get("content_type") or None,
        user=properties.get("user_id") or None,
    )
    return RabbitMQDelivery(
        message=message,
        queue=queue,
        delivery_count=_count(raw.get("x-delivery-count")),
        source_queue=_source(raw.get("x-death")),
        problem="; ".join(problems) or None,
        tag=tag,
        _settle=settle,
    )


def _headers(raw: Mapping[str, Any], problems: list[str]) -> dict[str, HeaderValue]:
    """The flat scalars; what is none is added to `problems`, for a job must not run without, say, its run.

    The broker's own `x-` headers are left out, so a copy never inherits the deaths of the original: RabbitMQ
    would drop it in its second round over the delay wheel as a dead-letter cycle.
    """
    found: dict[str, HeaderValue] = {}
    for name, value in raw.items():
        if name.startswith("x-") or value is None:
            continue
        if name in _COPIES:
            problems.append(f"header {name}: copies to further queues are refused")
        elif type(value) in _SCALARS:
            found[name] = value
        elif isinstance(value, datetime):
            found[name] = value.isoformat()
        elif isinstance(value, Decimal):
            found[name] = str(value)
        else:
            problems.append(f"header {name}: {_complaint(value)}")
    return found


def _complaint(value: object) -> str:
    if isinstance(value, Unreadable):
        return str(value)
    if isinstance(value, bytes):
        return "not UTF-8"
    return "not a flat scalar"


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else 0


def _source(deaths: object) -> str | None:
    """The queue a message was dead-lettered from; hops of the delay wheel, deaths by expiry, do not count."""
    if not isinstance(deaths, list):
        return None
    for death in cast("list[object]", deaths):
        if isinstance(death, dict):
            entry = cast("dict[str, object]", death)
            queue = entry.get("queue")
            if entry.get("reason") != "expired" and isinstance(queue, str):
                return home(queue)
    return None
