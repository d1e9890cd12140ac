"""Pure: how what a virtual host has differs from what a topology needs, where only the management API can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pavane.adapters.rabbitmq.management import Present
from pavane.adapters.rabbitmq.topology import Declarations, declarations
from pavane.core.topology import Topology
from pavane.ports.broker import TopologyChange

_OF_SERVICES = ("q", "undo", "dlq", "intake")


def differences(topology: Topology, present: Present, others: Collection[str]) -> list[TopologyChange]:
    """Bindings that are missing, and what is there under the namespace and nothing names.

    Args:
        others: services that have definitions elsewhere: their queues and bindings are their affair.
    """
    wanted = declarations(topology)
    return [
        *_missing(wanted, present),
        *_unbound(wanted, present),
        *_queues(topology, wanted, present, others),
        *_exchanges(topology, wanted, present),
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
        words = name.split(".")
        if name in ours or words[0] != topology.namespace:
            continue
        if len(words) > 2 and words[1] in _OF_SERVICES and words[2] in others:
            continue
        yield TopologyChange(
            "delete",
            "queue",
            name,
            current=f"{present.queues[name]} messages",
            remedy="`pavane topology prune` deletes what an earlier version had; of anything else find out whose "
            f"it is, and when it is empty: `rabbitmqctl delete_queue {name}`.",
        )


def _exchanges(topology: Topology, wanted: Declarations, present: Present) -> Iterator[TopologyChange]:
    ours = {exchange.name for exchange in (*wanted.exchanges, wanted.mark)}
    for name in sorted(present.exchanges - ours):
        if name.split(".")[0] == topology.namespace:
            yield TopologyChange(
                "delete",
                "exchange",
                name,
                remedy=f"Find out whose it is; `rabbitmqadmin delete exchange name={name}`.",
            )
