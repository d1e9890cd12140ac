"""What others have set over pavane's head: policies on its queues, permissions of its user; and what got stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pavane.adapters.rabbitmq.management import Management


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOversight:
    """A queue, as the management API tells of it; figures are some seconds old.

    Attributes:
        policy, operator_policy: names of those that apply to it; empty: none.
        imposed: what the two say together.
        leaving: messages that are neither ready nor with a consumer: they are being dead-lettered, or cannot be.
        leads_to: queue or exchange that its dead letters go to; empty: nowhere.
    """

    name: str
    policy: str
    operator_policy: str
    imposed: Mapping[str, Any]
    leaving: int
    leads_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """RabbitMQ's three patterns for a user in a virtual host."""

    configure: str
    write: str
    read: str


class Oversight(Management):
    """Asks for what was set. Arguments as for `Management`."""

    async def queues(self, namespace: str) -> list[QueueOversight]:
        """The queues of a namespace.

        Raises:
            BrokerUnavailable: no node answers, or not to this user.
        """
        documents = await asyncio.to_thread(self._ask, "queues")
        return [_queue(document) for document in documents if document["name"].startswith(f"{namespace}.")]

    async def permissions(self, user: str) -> Permissions | None:
        """What `user` may do; `None` if the API does not say, because the user who asks it is no administrator.

        Raises:
            BrokerUnavailable: no node answers, or not to this user.
        """
        who = await asyncio.to_thread(self._get, "whoami")
        if "administrator" not in who["tags"]:
            return None
        path = f"permissions/{self._vhost}/{quote(user, safe='')}"
        found: dict[str, str] = await asyncio.to_thread(self._get, path)
        return Permissions(configure=found["configure"], write=found["write"], read=found["read"])


def _queue(document: Mapping[str, Any]) -> QueueOversight:
    arguments: Mapping[str, Any] = document.get("arguments") or {}
    told = [int(document.get(name) or 0) for name in ("messages_ready", "messages_unacknowledged")]
    key = arguments.get("x-dead-letter-routing-key") or arguments.get("x-dead-letter-exchange") or ""
    return QueueOversight(
        name=document["name"],
        policy=document.get("policy") or "",
        operator_policy=document.get("operator_policy") or "",
        imposed=document.get("effective_policy_definition") or {},
        leaving=max(int(document.get("messages") or 0) - sum(told), 0),
        leads_to=key,
    )
