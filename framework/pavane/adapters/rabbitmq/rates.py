"""How queues get on, as RabbitMQ's management API tells; its figures are some seconds old."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pavane.adapters.rabbitmq.management import Management


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRates:
    """What AMQP does not tell of a queue; `None` where the API has no figure (yet).

    Attributes:
        unacked: messages that consumers have and have not settled.
        in_per_s: messages that were published to it, per second.
        out_per_s: messages that were settled for good, per second.
    """

    unacked: int | None
    in_per_s: float | None
    out_per_s: float | None


class Rates(Management):
    """Asks for the figures of queues. Arguments as for `Management`."""

    async def of_queues(self) -> Mapping[str, QueueRates]:
        """By the queue's name.

        Raises:
            BrokerUnavailable: no node answers, or not to this user.
        """
        documents = await asyncio.to_thread(self._ask, "queues")
        return {document["name"]: _rates(document) for document in documents}


def _rates(document: Mapping[str, Any]) -> QueueRates:
    unacked = document.get("messages_unacknowledged")
    return QueueRates(
        unacked=None if unacked is None else int(unacked),
        in_per_s=_rate(document, "publish"),
        out_per_s=_rate(document, "ack"),
    )


def _rate(document: Mapping[str, Any], what: str) -> float | None:
    statistics: Mapping[str, Any] = document.get("message_stats") or {}
    details: Mapping[str, Any] = statistics.get(f"{what}_details") or {}
    rate = details.get("rate")
    return None if rate is None else float(rate)
