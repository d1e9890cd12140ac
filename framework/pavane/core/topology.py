"""The queues, exchanges and bindings that a set of definitions needs, as plain values.

Names (`ns` is the namespace):

    ns.q.<service>.<worker>      jobs of a worker
    ns.undo.<service>.<worker>   undo jobs of a worker with `compensate_with`
    ns.dlq.<service>.<worker>    dead letters of a worker, its undo included
    ns.intake.<service>          what RabbitMQ dead-letters by itself (delivery limit, full queue)
    ns.parked                    what even the intake could not take; nobody consumes it

    ns.events        topic   routing key = event name
    ns.jobs          direct  routing key = queue name
    ns.dlx           direct  routing key = queue name
    ns.delay.00-15   topic   the wheel's levels; ns.delay.out its last hop
    ns.delay.lost    fanout  to ns.parked, what leaves the wheel for a queue that is gone
    ns.initialised   fanout  exists once an epoch was written into the state store
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

UNIT_MS = 250
LEVELS = 16
LONGEST_DELAY = ((1 << LEVELS) - 1) * UNIT_MS
"""Milliseconds that one turn of the delay wheel can hold a message: 65,535 units of 250 ms, about 4.5 hours."""

DELIVERY_LIMIT = 20


@dataclass(frozen=True, slots=True)
class WorkerTopology:
    """What one worker needs: its events, whether it has an undo queue, how long its queues may grow."""

    service: str
    worker: str
    events: tuple[str, ...]
    undo: bool = False
    max_dead_letters: int | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Queue and exchange names of one namespace. Nothing else in pavane builds such a name."""

    namespace: str

    def queue(self, service: str, worker: str) -> str:
        return f"{self.namespace}.q.{service}.{worker}"

    def undo_queue(self, service: str, worker: str) -> str:
        return f"{self.namespace}.undo.{service}.{worker}"

    def dead_letter_queue(self, service: str, worker: str) -> str:
        return f"{self.namespace}.dlq.{service}.{worker}"

    def intake(self, service: str) -> str:
        return f"{self.namespace}.intake.{service}"

    @property
    def parked(self) -> str:
        return f"{self.namespace}.parked"

    def exchange(self, name: str) -> str:
        """One of `events`, `jobs`, `dlx`, `initialised`, `delay.out`, `delay.00` … `delay.15`."""
        return f"{self.namespace}.{name}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything a broker adapter declares for a namespace."""

    namespace: str
    workers: tuple[WorkerTopology, ...]

    @property
    def names(self) -> Names:
        return Names(self.namespace)

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services that have workers, each once, in order of appearance."""
        return tuple(dict.fromkeys(worker.service for worker in self.workers))


def wheel_levels(delay: int) -> tuple[int, ...]:
    """The levels a message passes for `delay` milliseconds, longest first.

    `delay` is rounded up to whole units, never down, and cut to `LONGEST_DELAY`.
    """
    units = -(-min(delay, LONGEST_DELAY) // UNIT_MS)
    return tuple(level for level in reversed(range(LEVELS)) if units >> level & 1)


def queues_of(topology: Topology) -> Sequence[str]:
    """Names of all queues of the topology that hold jobs or letters (the wheel's are not among them)."""
    names = topology.names
    found: list[str] = []
    for worker in topology.workers:
        found.append(names.queue(worker.service, worker.worker))
        if worker.undo:
            found.append(names.undo_queue(worker.service, worker.worker))
        found.append(names.dead_letter_queue(worker.service, worker.worker))
    return [*found, *(names.intake(service) for service in topology.services), names.parked]
