"""What others have set over pavane's head: policies on its queues, permissions of its user; and what got stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

from pavane.adapters.rabbitmq.management import Management


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a policy sets, by key; `kind` is whose it is."""

    name: str
    kind: Literal["policy", "operator_policy"]
    sets: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOversight:
    """A queue, as the management API tells of it; figures are some seconds old.

    Attributes:
        imposed: the policies that apply to it: one at most of its users', and one of its operators'.
        leaving: messages that are neither ready nor with a consumer: they are being dead-lettered, or cannot be.
        leads_to: queue or exchange that its dead letters go to; empty: nowhere.
    """

    name: str
    imposed: tuple[Policy, ...]
    leaving: int
    leads_to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """RabbitMQ's three patterns for a user in a virtual host."""

    configure: str
    write: str
    read: str


_KINDS: Final[tuple[Literal["policy", "operator_policy"], ...]] = ("policy", "operator_policy")


class Oversight(Management):
    """Asks for what was set. Arguments as for `Management`."""

    async def queues(self, namespace: str) -> list[QueueOversight]:
        """The queues of a namespace.

        Raises:
            BrokerUnavailable: no node answers, or not to this user.
        """
        queues, *policies = await asyncio.gather(
            *(asyncio.to_thread(self._ask, kind) for kind in ("queues", "policies", "operator-policies"))
        )
        sets: dict[str, Mapping[str, Any]] = {
            kind: {one["name"]: one["definition"] for one in each}
            for kind, each in zip(_KINDS, policies, strict=True)
        }
        return [_queue(document, sets) for document in queues if document["name"].startswith(f"{namespace}.")]

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


def _queue(document: Mapping[str, Any], sets: Mapping[str, Mapping[str, Any]]) -> QueueOversight:
    arguments: Mapping[str, Any] = document.get("arguments") or {}
    total, *elsewhere = (
        int(document.get(name) or 0) for name in ("messages", "messages_ready", "messages_unacknowledged")
    )
    return QueueOversight(
        name=document["name"],
        imposed=tuple(
            Policy(name=name, kind=kind, sets=sets[kind].get(name) or {})
            for kind in _KINDS
            if (name := document.get(kind))
        ),
        leaving=max(total - sum(elsewhere), 0),
        leads_to=arguments.get("x-dead-letter-routing-key") or arguments.get("x-dead-letter-exchange") or "",
    )
