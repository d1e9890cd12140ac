"""The queues, exchanges and bindings that a set of definitions needs, as plain values.

Names (`ns` is the namespace):

    ns.q.<service>.<worker>      jobs of a worker
    ns.undo.<service>.<worker>   undo jobs of a worker with `compensate_with`
    ns.dlq.<service>.<worker>    dead letters of a worker, its undo included
    ns.intake.<service>          what RabbitMQ dead-letters by itself (delivery limit, full queue)
    ns.parked                    what even the intake could not take; nobody consumes it

    ns.event.<event>             fanout  to whoever subscribes to the event, and to nobody else
    ns.events                    topic   routing key = event name, to ns.event.<event>: for other systems
    ns.jobs.<service>            direct  routing key = queue name, to queues of the service
    ns.dlx.<service>             direct  routing key = queue name, to dead-letter queues of the service
    ns.dlx                       direct  to ns.parked
    ns.delay.<service>.00-15     topic   levels of the service's wheel; ns.delay.<service>.out its last hop
    ns.delay.lost                fanout  to ns.parked, what leaves a wheel for a queue that is gone
    ns.initialised               fanout  exists once an epoch was written into the state store

Whoever may write to an exchange reaches all that it leads to, whatever key or `CC` he gives. So each leads to
one event's subscribers or to one service, and a permission on its name says exactly who may do what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pavane.events import RunEnded, RunStalled, StepDeadLettered, UndoStuck

UNIT_MS = 250
LEVELS = 16
LONGEST_DELAY = ((1 << LEVELS) - 1) * UNIT_MS
"""Milliseconds that one turn of the delay wheel can hold a message: 65,535 units of 250 ms, about 4.5 hours."""

DELIVERY_LIMIT = 20

FRAMEWORK_EVENTS = tuple(event.event_name for event in (RunEnded, RunStalled, StepDeadLettered, UndoStuck))
"""Every process may find that one of them is due."""


@dataclass(frozen=True, slots=True)
class WorkerTopology:
    """What one worker needs: its events, whether it has an undo queue, how long its queues may grow, what it emits."""

    service: str
    worker: str
    events: tuple[str, ...]
    undo: bool = False
    max_dead_letters: int | None = None
    emits: tuple[str, ...] = ()


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

    def event(self, event: str) -> str:
        """The exchange that an event is published to."""
        return f"{self.namespace}.event.{event}"

    def jobs(self, service: str) -> str:
        """The exchange that jobs and undos of a service are published to."""
        return f"{self.namespace}.jobs.{service}"

    def letters(self, service: str) -> str:
        """The exchange that dead letters of a service are published to."""
        return f"{self.namespace}.dlx.{service}"

    def level(self, service: str, level: int) -> str:
        """A level of a service's delay wheel: exchange and queue have the same name."""
        return f"{self.namespace}.delay.{service}.{level:02}"

    def last_hop(self, service: str) -> str:
        """The exchange where a message leaves a service's delay wheel."""
        return f"{self.namespace}.delay.{service}.out"

    def exchange(self, name: str) -> str:
        """One that services share: `events`, `dlx`, `delay.lost`, `initialised`."""
        return f"{self.namespace}.{name}"

    def service_of(self, queue: str) -> str | None:
        """The service that a queue belongs to by its name; `None`: to none (`parked`)."""
        words = queue.split(".", 3)
        return words[2] if len(words) > 2 else None


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

    @property
    def events(self) -> tuple[str, ...]:
        """Every event that somebody here subscribes to or emits, each once, and pavane's own."""
        named = (event for worker in self.workers for event in (*worker.events, *worker.emits))
        return tuple(dict.fromkeys((*named, *FRAMEWORK_EVENTS)))


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


def wheel_queues_of(topology: Topology) -> Sequence[str]:
    """Names of the queues of the delay wheels."""
    return [topology.names.level(service, level) for service in topology.services for level in range(LEVELS)]
