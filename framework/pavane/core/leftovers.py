"""What earlier definitions had declared on the broker, and what of it the present ones have no use for.

AMQP can list neither queues nor bindings. So whoever declares remembers what, in words that are only ever added
until `prune` takes them off: `stock.reserve` for a worker's queues, `stock.reserve order.placed` for a binding,
`stock.reserve >stock.reserved` for an event that it emits.

Services are deployed one by one: definitions speak for the services that they name and for no other. What
another service has on the broker is therefore never left over here, whether its definitions are at hand or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pavane.core.choreography import Choreography
from pavane.core.topology import Names, Topology, WorkerTopology


@dataclass(frozen=True, slots=True)
class LeftQueue:
    """A queue that no worker of the definitions has.

    Attributes:
        worker: `service.worker`, whose queue it was.
        events: what the queue was bound to, as far as is remembered.
        is_of_none: whether no worker of the name is left, and not only its undo.
    """

    name: str
    worker: str
    events: tuple[str, ...]
    is_of_none: bool


@dataclass(frozen=True, slots=True)
class LeftBinding:
    """An event that still goes to the queue of a worker that does not subscribe to it any more."""

    event: str
    queue: str
    worker: str

    @property
    def word(self) -> str:
        return f"{self.worker} {self.event}"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What may still be there; `queues` may be gone long since."""

    queues: tuple[LeftQueue, ...]
    bindings: tuple[LeftBinding, ...]


@dataclass(frozen=True, slots=True)
class LeftEvent:
    """An event that no definitions and no other service speak of any more.

    Attributes:
        words: what is remembered of it.
    """

    event: str
    words: tuple[str, ...]


def topology_of(namespace: str, choreography: Choreography) -> Topology:
    """What the workers of several programs need together."""
    return Topology(
        namespace,
        tuple(
            WorkerTopology(
                service=worker.name.partition(".")[0],
                worker=worker.name.partition(".")[2],
                events=worker.hears,
                undo=worker.has_undo,
                max_dead_letters=worker.max_dead_letters,
                emits=worker.sends,
            )
            for worker in choreography.workers
        ),
    )


def words_of(topology: Topology) -> frozenset[str]:
    """What is to be remembered once `topology` is declared."""
    workers = {f"{one.service}.{one.worker}": one for one in topology.workers}
    return words_for(
        {name: worker.events for name, worker in workers.items()},
        {name: worker.emits for name, worker in workers.items()},
    )


def words_for(
    subscriptions: Mapping[str, Sequence[str]], emits: Mapping[str, Sequence[str]] | None = None
) -> frozenset[str]:
    """The same, of a registration: `service.worker`, the events it subscribes to and those it emits."""
    bindings = (f"{worker} {event}" for worker, events in subscriptions.items() for event in events)
    emitted = (f"{worker} >{event}" for worker, events in (emits or {}).items() for event in events)
    return frozenset([*subscriptions, *bindings, *emitted])


def is_emitted(word: str) -> bool:
    """Whether a word speaks of an event that a worker emits."""
    return " >" in word


def left_events(topology: Topology, remembered: Iterable[str]) -> tuple[LeftEvent, ...]:
    """Events that the services in `topology` had, and that neither it nor another service names.

    Args:
        remembered: everything, what the other services have registered included.
    """
    own: dict[str, list[str]] = {}
    others: set[str] = set()
    for word in sorted(remembered):
        worker, _, event = word.partition(" ")
        if event and worker.partition(".")[0] in topology.services:
            own.setdefault(event.removeprefix(">"), []).append(word)
        elif event:
            others.add(event.removeprefix(">"))
    return tuple(
        LeftEvent(event, tuple(words))
        for event, words in own.items()
        if event not in others and event not in topology.events
    )


def left_over(topology: Topology, remembered: Iterable[str]) -> Leftovers:
    """What of the services in `topology` was declared once, and is not in `topology`.

    The undo queue of a worker that has no undo is always named: nobody remembers which workers had one.
    """
    known: dict[str, list[str]] = {}
    for word in sorted(remembered):
        worker, _, event = word.partition(" ")
        known.setdefault(worker, []).extend([event] if event and not is_emitted(word) else [])
    wanted = {f"{one.service}.{one.worker}": one for one in topology.workers}
    queues: list[LeftQueue] = []
    bindings: list[LeftBinding] = []
    for name in sorted({*known, *wanted}):
        if name.partition(".")[0] not in topology.services:
            continue
        present, events = wanted.get(name), tuple(known.get(name, ()))
        queues += _left_queues(topology.names, name, present, events)
        if present is not None:
            queue = topology.names.queue(present.service, present.worker)
            bindings += [LeftBinding(event, queue, name) for event in events if event not in present.events]
    return Leftovers(tuple(queues), tuple(bindings))


def _left_queues(
    names: Names, worker: str, present: WorkerTopology | None, events: tuple[str, ...]
) -> Iterable[LeftQueue]:
    """Jobs first, the dead letters last: what is in a queue may still die of it."""
    service, _, name = worker.partition(".")
    gone = present is None
    if gone:
        yield LeftQueue(names.queue(service, name), worker, events, gone)
    if present is None or not present.undo:
        yield LeftQueue(names.undo_queue(service, name), worker, (), gone)
    if gone:
        yield LeftQueue(names.dead_letter_queue(service, name), worker, (), gone)
