"""Making sure that broker and store are what the definitions need, and that the store remembers."""

from __future__ import annotations

from pavane.core.leftovers import words_for, words_of
from pavane.core.topology import Topology
from pavane.errors import StateLost
from pavane.ports.broker import Broker, TopologyChange
from pavane.ports.store import Store


async def apply(
    store: Store, broker: Broker, topology: Topology, *, accept_loss: bool = False
) -> list[TopologyChange]:
    """Write the epoch, then declare queues, exchanges and bindings, the exchange that says so last.

    Args:
        accept_loss: begin again on a store that has lost everything.

    Returns:
        What was done.

    Raises:
        StateLost: the broker has been initialised, but the store has no epoch: it was emptied.
        TopologyMismatch: something exists with other arguments.
    """
    if not accept_loss:
        await check_memory(store, broker, topology)
    await store.initialise()
    # Before it is there: what is remembered and does not exist does no harm, the other way round it would stay.
    await store.remember(words_of(topology) | await _registered(store))
    return await broker.declare(topology)


async def check_memory(store: Store, broker: Broker, topology: Topology) -> None:
    """Refuse to work on a store that was emptied while the broker still has work.

    Raises:
        StateLost: saying what to do.
    """
    if await store.initialised():
        return
    mark = topology.names.exchange("initialised")
    if any(change.name == mark and change.action == "create" for change in await broker.plan(topology)):
        return
    raise StateLost(
        "The state store is empty, but the broker has been initialised: Redis has lost what it had.",
        remedy="Restore Redis from its backup, or accept the loss: pavane topology apply --new-epoch.",
    )


async def _registered(store: Store) -> frozenset[str]:
    """What ran until now, perhaps in a version that remembered nothing: a service registers over what it said."""
    registrations = await store.registrations()
    return frozenset(word for one in registrations for word in words_for(one.subscriptions, one.emits))
