"""Whether broker and store are what the definitions say: nothing missing, nothing left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pavane.client.leavings import Leavings, to_be_pruned
from pavane.client.means import Means
from pavane.client.migration import interrupted
from pavane.core.leftovers import words_for
from pavane.core.topology import Topology
from pavane.ports.broker import TopologyChange
from pavane.settings import Settings

if TYPE_CHECKING:
    from pavane.adapters.rabbitmq.management import Present

NOT_SEEN = (
    "Bindings that are missing, and what under the namespace neither definitions nor registrations name, "
    "are not seen: set PAVANE_MANAGEMENT_URL"
)


async def verify(means: Means, topology: Topology) -> list[TopologyChange]:
    """Every difference between `topology` and what is on the broker and in the store. Changes nothing.

    Raises:
        BrokerUnavailable, StateUnavailable: a server, or the management API that the settings name, does not
            answer.
    """
    planned = await means.broker.plan(topology)
    found = [
        *await _epoch(means, topology, planned),
        *planned,
        *await _registrations(means, topology),
        *await interrupted(means.broker, topology),
        *to_be_pruned(await Leavings(means, topology).found()),
        *await _seen_by_management(means, topology),
    ]
    # The management API sees what a plan and the store's memory have named already; they say more about it.
    told: dict[tuple[str, ...], TopologyChange] = {}
    for change in found:
        told.setdefault((change.action, change.kind, *_named(change)), change)
    return list(told.values())


async def _epoch(means: Means, topology: Topology, planned: list[TopologyChange]) -> list[TopologyChange]:
    if await means.store.initialised():
        return []
    mark = topology.names.exchange("initialised")
    is_new = any(change.name == mark and change.action == "create" for change in planned)
    remedy = (
        "`pavane topology apply` writes it."
        if is_new
        else "Redis has lost what it had: restore it from its backup, or accept the loss: "
        "pavane topology apply --new-epoch."
    )
    return [TopologyChange("create", "epoch", f"{topology.namespace}:epoch", remedy=remedy)]


async def _registrations(means: Means, topology: Topology) -> list[TopologyChange]:
    """What a service has said of itself, which decides whether an event that nobody takes is normal."""
    registered = {one.service: one for one in await means.store.registrations()}
    changes: list[TopologyChange] = []
    for service in topology.services:
        wanted = words_for(
            {
                f"{service}.{worker.worker}": worker.events
                for worker in topology.workers
                if worker.service == service
            }
        )
        if service not in registered:
            remedy = "A service registers when it starts: start it."
            changes.append(TopologyChange("create", "registration", service, remedy=remedy))
            continue
        present = words_for(registered[service].subscriptions)
        if present != wanted:
            changes.append(
                TopologyChange(
                    "mismatch",
                    "registration",
                    service,
                    current=_shown(present - wanted),
                    wanted=_shown(wanted - present),
                    remedy="It ran last in another version. A service registers when it starts: start this one.",
                )
            )
    return changes


def _shown(words: frozenset[str]) -> str:
    return ", ".join(sorted(words)) or "nothing more"


async def seen(settings: Settings) -> Present | None:
    """What RabbitMQ's management API says is there; `None` where the settings do not name it.

    Raises:
        BrokerUnavailable: it does not answer.
    """
    if settings.management_url is None or settings.broker_url is None:
        return None
    from pavane.adapters.rabbitmq.management import Management

    api = Management(settings.management_url, settings.broker_urls[0], timeout=settings.state_timeout)
    return await api.present()


async def _seen_by_management(means: Means, topology: Topology) -> list[TopologyChange]:
    present = await seen(means.settings)
    if present is None:
        return []
    # Imported here, because what runs in memory should not have to load it.
    from pavane.adapters.rabbitmq.surplus import differences

    words = await means.store.remembered()
    for one in await means.store.registrations():
        words |= {f"{one.service}.", *words_for(one.subscriptions, one.emits)}
    own = topology.services
    others = {word for word in words if word.partition(".")[0] not in own}
    events = {word.partition(" ")[2].removeprefix(">") for word in others}
    return differences(topology, present, {word.partition(".")[0] for word in others}, events)


def _named(change: TopologyChange) -> tuple[str, ...]:
    """What tells two changes apart; a binding's key is part of its name."""
    if change.kind != "binding":
        return (change.name,)
    return (change.name, change.wanted or change.current or "")
