"""The checks that only RabbitMQ's management API can answer, and who else does where it is not asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from yarl import URL

from pavane.adapters.rabbitmq.connection import user_of
from pavane.adapters.rabbitmq.oversight import Oversight, Permissions, QueueOversight
from pavane.cli.broker_checks import judge_dead_lettering, judge_permissions, judge_policies
from pavane.cli.findings import Finding, not_seen
from pavane.core.topology import Names
from pavane.errors import BrokerUnavailable
from pavane.settings import Settings

RENEWED: Final = 6.0
"""Seconds after which the API's figures are others: they are gathered every five."""

ELSEWHERE: Final = {
    "broker_permissions": "`rabbitmqctl list_permissions` shows what pavane's user may do.",
    "dead_lettering": "`rabbitmqctl list_queues name messages messages_ready messages_unacknowledged`: "
    "what is neither ready nor unacknowledged cannot be dead-lettered.",
    "policies": "`rabbitmqctl list_policies` and `rabbitmqctl list_operator_policies` show what is imposed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overseen:
    """What the API has told; `permissions` is `None` where it tells administrators only."""

    api: Oversight
    user: str
    vhost: str
    queues: Sequence[QueueOversight]
    permissions: Permissions | None


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Why nothing was told, and what to do about it if that is known."""

    why: str
    remedy: str = ""


async def oversee(settings: Settings, patience: float) -> Overseen | NotAsked:
    """Ask the API, where the settings name it; `patience` is in seconds, for each question."""
    if settings.management_url is None:
        return NotAsked("set PAVANE_MANAGEMENT_URL")
    url = settings.broker_urls[0]
    api = Oversight(settings.management_url, url, timeout=patience)
    # Whoever connects with a certificate has no name here that could be asked about.
    user = user_of(URL(url)) or ""
    try:
        queues, permissions = await asyncio.gather(
            api.queues(settings.namespace), api.permissions(user) if user else _unknown()
        )
    except BrokerUnavailable as refusal:
        return NotAsked(str(refusal), refusal.remedy)
    vhost = unquote(urlsplit(url).path[1:]) or "/"
    return Overseen(api=api, user=user, vhost=vhost, queues=queues, permissions=permissions)


async def _unknown() -> None:
    return None


async def management_checks(
    overseen: Overseen | NotAsked, settings: Settings, workers: Sequence[str]
) -> list[Finding]:
    """`broker_permissions`, `dead_lettering` and `policies`; `workers` are those that are registered."""
    if isinstance(overseen, NotAsked):
        return [
            not_seen(name, overseen.why, " ".join(part for part in (overseen.remedy, elsewhere) if part))
            for name, elsewhere in ELSEWHERE.items()
        ]
    return [
        _permissions(overseen, settings, workers),
        judge_policies(overseen.queues, overseen.vhost),
        await _dead_lettering(overseen, settings.namespace),
    ]


def _permissions(overseen: Overseen, settings: Settings, workers: Sequence[str]) -> Finding:
    if overseen.permissions is None:
        name = "broker_permissions"
        return not_seen(name, "the management API tells administrators only", ELSEWHERE[name])
    names, declares = Names(settings.namespace), settings.declare == "auto"
    return judge_permissions(
        overseen.user, overseen.vhost, overseen.permissions, names, workers, declares=declares
    )


async def _dead_lettering(overseen: Overseen, namespace: str) -> Finding:
    """What leaves its queue is on its way nearly always: only what still is a while later is stuck."""
    later = overseen.queues
    if any(queue.leaving for queue in later):
        await asyncio.sleep(RENEWED)
        try:
            later = await overseen.api.queues(namespace)
        except BrokerUnavailable as refusal:
            return not_seen("dead_lettering", str(refusal), refusal.remedy)
    return judge_dead_lettering(overseen.queues, later)
