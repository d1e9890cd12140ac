"""Pure: how what a virtual host has differs from what a topology needs, where only the management API can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pavane.adapters.rabbitmq.management import Present
from pavane.adapters.rabbitmq.topology import Declarations, declarations
from pavane.core.topology import Topology
from pavane.ports.broker import TopologyChange

_OF_SERVICES = ("q", "undo", "dlq", "intake", "jobs", "dlx", "delay")


def differences(
    topology: Topology, present: Present, others: Collection[str], events: Collection[str] = ()
) -> list[TopologyChange]:
    """Bindings that are missing, and what is there under the namespace and nothing names.

    Args:
        others: services that have definitions elsewhere: what is named after them is their affair.
        events: that they subscribe to or emit.
    """
    wanted = declarations(topology)
    return [
        *_missing(wanted, present),
        *_unbound(wanted, present),
        *_queues(topology, wanted, present, others),
        *_exchanges(topology, wanted, present, others, events),
    ]


def _missing(wanted: Declarations, present: Present) -> Iterator[TopologyChange]:
    for binding in wanted.bindings:
        # What a queue or exchange that is missing itself lacks, a plan says.
        targets = present.queues if binding.kind == "queue" else present.exchanges
        if (
            binding not in present.bindings
            and binding.source in present.exchanges
            and binding.target in targets
        ):
            yield TopologyChange(
                "bind",
                "binding",
                f"{binding.source} -> {binding.target}",
                wanted=binding.key,
                remedy="`pavane topology apply` binds it.",
            )


def _unbound(wanted: Declarations, present: Present) -> Iterator[TopologyChange]:
    ours = {queue.name for queue in wanted.queues} | {exchange.name for exchange in wanted.exchanges}
    for binding in sorted(present.bindings - set(wanted.bindings), key=str):
        if binding.target in ours:
            yield TopologyChange(
                "unbind",
                "binding",
                f"{binding.source} -> {binding.target}",
                current=binding.key,
                remedy="`pavane topology prune` unbinds what an earlier version had; who else bound it, unbinds it.",
            )


def _queues(
    topology: Topology, wanted: Declarations, present: Present, others: Collection[str]
) -> Iterator[TopologyChange]:
    ours = {queue.name for queue in wanted.queues}
    for name in sorted(present.queues):
        if name in ours or not name.startswith(f"{topology.namespace}.") or _is_of(others, name):
            continue
        yield TopologyChange(
            "delete",
            "queue",
            name,
            current=f"{present.queues[name]} messages",
            remedy="`pavane topology prune` deletes what an earlier version had; of anything else find out whose "
            f"it is, and when it is empty: `rabbitmqctl delete_queue {name}`.",
        )


def _exchanges(
    topology: Topology,
    wanted: Declarations,
    present: Present,
    others: Collection[str],
    events: Collection[str],
) -> Iterator[TopologyChange]:
    ours = {exchange.name for exchange in (*wanted.exchanges, wanted.mark)}
    ours.update(topology.names.event(event) for event in events)
    for name in sorted(present.exchanges - ours):
        if name.startswith(f"{topology.namespace}.") and not _is_of(others, name):
            yield TopologyChange(
                "delete",
                "exchange",
                name,
                remedy=f"Find out whose it is; `rabbitmqadmin delete exchange name={name}`.",
            )


def _is_of(services: Collection[str], name: str) -> bool:
    words = name.split(".")
    return len(words) > 2 and words[1] in _OF_SERVICES and words[2] in services
