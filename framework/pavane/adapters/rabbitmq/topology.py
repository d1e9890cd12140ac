"""Pure: which queues, exchanges and bindings a topology needs on RabbitMQ, with which arguments.

Every queue is a durable quorum queue that refuses publishes when full (`reject-publish`; the default drops
the oldest message, and makes dead-lettering at-most-once in silence) and has an explicit delivery limit:
RabbitMQ 3.10 has none by default and 4.x has 20.

Where RabbitMQ itself puts a message that came back too often:

    worker, undo and dead-letter queues  ->  the intake of their service
    intake                               ->  parked
    parked                               ->  nowhere: nobody consumes it

Each event has a fanout exchange, and each service exchanges and a delay wheel of its own: whoever may write to one
reaches all that it leads to, whatever routing key or `CC` header he gives, on any version of RabbitMQ.

A delay wheel has sixteen levels; level n holds a message for 2^n units of 250 ms, all with one fixed
TTL, because a TTL per message blocks behind a longer one. The routing key is sixteen bits, highest first,
and the target queue as a seventeenth word (its dots replaced: the word count must be exact for `*`):

    0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.1.shop:q:stock:reserve     1.25 s to shop.q.stock.reserve

The exchange of a level sends a message whose bit is set to the level's queue and others on to the next
level; the queue dead-letters to the next level. A message so passes only the queues whose bit is set.

The wheel's last hop is the one exchange here with an alternate. At-least-once dead-lettering keeps a message
whose target is gone and has 32 of them in hand at most: 40 retries of a worker whose queue was deleted held up
every delay of the wheel (measured on 3.10.8). So such messages go on to `parked`. Nobody publishes there
with `mandatory`, which an alternate exchange would silence; on the others there is none for that reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pavane.core.topology import (
    DELIVERY_LIMIT,
    LEVELS,
    UNIT_MS,
    Names,
    Topology,
    WorkerTopology,
    wheel_levels,
)
from pavane.ports.broker import Address, ToDeadLetters, ToSubscribers

PARKED_LIMIT = 1_000_000
"""Nobody consumes `parked`, but an operator may look into it by get and requeue, and each look counts. It has
no queue to pass its letters on to: past the limit they would be destroyed. No limit at all cannot be said:
without the argument it is 20 on 4.x, and -1 destroys a message at its first requeue on 3.10."""

Argument = str | int


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to declare."""

    name: str
    arguments: dict[str, Argument]


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange to declare."""

    name: str
    type: Literal["topic", "direct", "fanout"]
    alternate: str | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """What `source` sends on, and where to."""

    source: str
    key: str
    target: str
    kind: Literal["queue", "exchange"] = "queue"


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything to declare, in this order; the mark of an initialised namespace last of all."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]
    mark: Exchange

    def of_queue(self, name: str) -> Declarations | None:
        """Only what the queue `name` needs; `None` if it is not among these."""
        queues = tuple(queue for queue in self.queues if queue.name == name)
        if not queues:
            return None
        bindings = tuple(
            binding for binding in self.bindings if binding.target == name and binding.kind == "queue"
        )
        sources = {binding.source for binding in bindings}
        exchanges = tuple(exchange for exchange in self.exchanges if exchange.name in sources)
        return Declarations(exchanges, queues, bindings, self.mark)


def declarations(topology: Topology) -> Declarations:
    """What RabbitMQ must hold for `topology`."""
    names = topology.names
    exchanges = [
        Exchange(names.exchange("events"), "topic"),
        Exchange(names.exchange("dlx"), "direct"),
        Exchange(names.exchange("delay.lost"), "fanout"),
    ]
    queues = [Queue(names.parked, _arguments(delivery_limit=PARKED_LIMIT))]
    bindings = [
        Binding(names.exchange("dlx"), names.parked, names.parked),
        Binding(names.exchange("delay.lost"), "", names.parked),
    ]
    for event in topology.events:
        exchanges.append(Exchange(names.event(event), "fanout"))
        bindings.append(Binding(names.exchange("events"), event, names.event(event), kind="exchange"))
    for service in topology.services:
        exchanges.extend(_service_exchanges(names, service))
        queues.append(_intake(names, service))
        bindings.append(Binding(names.letters(service), names.intake(service), names.intake(service)))
        bindings.extend(_reachable(names, service, names.intake(service)))
        for level in range(LEVELS):
            queues.append(_level_queue(names, service, level))
            bindings.extend(_level_bindings(names, service, level))
    for worker in topology.workers:
        queues.extend(_worker_queues(names, worker))
        bindings.extend(_worker_bindings(names, worker))
    mark = Exchange(names.exchange("initialised"), "fanout")
    return Declarations(tuple(exchanges), tuple(queues), tuple(bindings), mark)


def ways_to(names: Names, queue: str, events: Sequence[str], *, letters: bool) -> tuple[Binding, ...]:
    """What leads to a queue of a worker: to its dead letters if they are `letters`, else to jobs or undos."""
    service = names.service_of(queue) or ""
    if letters:
        return (Binding(names.letters(service), queue, queue),)
    return (*(subscription(names, queue, event) for event in events), *_reachable(names, service, queue))


def subscription(names: Names, queue: str, event: str) -> Binding:
    """What brings an event to a queue."""
    return Binding(names.event(event), "", queue)


def route(names: Names, to: Address) -> tuple[str, str] | None:
    """Exchange and routing key of an address; `None`: there can be no such queue."""
    if isinstance(to, ToSubscribers):
        return names.event(to.event), to.event
    if isinstance(to, ToDeadLetters) and to.queue == names.parked:
        return names.exchange("dlx"), to.queue
    service = names.service_of(to.queue)
    if service is None:
        return None
    if isinstance(to, ToDeadLetters):
        return names.letters(service), to.queue
    if to.delay > 0:
        return delay_route(names, to.queue, to.delay)
    return names.jobs(service), to.queue


def delay_route(names: Names, queue: str, delay: int) -> tuple[str, str]:
    """Exchange and routing key that bring a message to a service's `queue` after `delay` milliseconds (above 0)."""
    levels = wheel_levels(delay)
    bits = ".".join("1" if level in levels else "0" for level in reversed(range(LEVELS)))
    return names.level(names.service_of(queue) or "", levels[0]), f"{bits}.{_word(queue)}"


def _arguments(
    *,
    delivery_limit: int = DELIVERY_LIMIT,
    target: tuple[str, str | None] | None = None,
    ttl: int | None = None,
    max_length: int | None = None,
) -> dict[str, Argument]:
    """The arguments of a queue; `target` is exchange and, if it changes, routing key of its dead letters."""
    arguments: dict[str, Argument] = {
        "x-queue-type": "quorum",
        "x-overflow": "reject-publish",
        "x-delivery-limit": delivery_limit,
    }
    if target:
        exchange, key = target
        arguments["x-dead-letter-exchange"] = exchange
        arguments["x-dead-letter-strategy"] = "at-least-once"
        if key is not None:
            arguments["x-dead-letter-routing-key"] = key
    if ttl is not None:
        arguments["x-message-ttl"] = ttl
    if max_length is not None:
        arguments["x-max-length"] = max_length
    return arguments


def _service_exchanges(names: Names, service: str) -> Iterator[Exchange]:
    yield Exchange(names.jobs(service), "direct")
    yield Exchange(names.letters(service), "direct")
    yield Exchange(names.last_hop(service), "topic", alternate=names.exchange("delay.lost"))
    for level in range(LEVELS):
        yield Exchange(names.level(service, level), "topic")


def _intake(names: Names, service: str) -> Queue:
    return Queue(names.intake(service), _arguments(target=(names.exchange("dlx"), names.parked)))


def _worker_queues(names: Names, worker: WorkerTopology) -> Iterator[Queue]:
    """The worker's queue, its undo queue if it has one, its dead-letter queue."""
    to_intake = (names.letters(worker.service), names.intake(worker.service))
    yield Queue(names.queue(worker.service, worker.worker), _arguments(target=to_intake))
    if worker.undo:
        yield Queue(names.undo_queue(worker.service, worker.worker), _arguments(target=to_intake))
    yield Queue(
        names.dead_letter_queue(worker.service, worker.worker),
        _arguments(target=to_intake, max_length=worker.max_dead_letters),
    )


def _worker_bindings(names: Names, worker: WorkerTopology) -> Iterator[Binding]:
    queue = names.queue(worker.service, worker.worker)
    for event in worker.events:
        yield subscription(names, queue, event)
    yield from _reachable(names, worker.service, queue)
    if worker.undo:
        yield from _reachable(names, worker.service, names.undo_queue(worker.service, worker.worker))
    letters = names.dead_letter_queue(worker.service, worker.worker)
    yield Binding(names.letters(worker.service), letters, letters)


def _reachable(names: Names, service: str, queue: str) -> Iterator[Binding]:
    """A queue that jobs are sent to by its name, at once or over the wheel."""
    yield Binding(names.jobs(service), queue, queue)
    yield Binding(names.last_hop(service), ".".join(["*"] * LEVELS + [_word(queue)]), queue)


def _next(names: Names, service: str, level: int) -> str:
    return names.level(service, level - 1) if level else names.last_hop(service)


def _level_queue(names: Names, service: str, level: int) -> Queue:
    target = (_next(names, service, level), None)
    return Queue(names.level(service, level), _arguments(target=target, ttl=UNIT_MS << level))


def _level_bindings(names: Names, service: str, level: int) -> Iterator[Binding]:
    here = names.level(service, level)
    yield Binding(here, _bit_pattern(level, "1"), here)
    yield Binding(here, _bit_pattern(level, "0"), _next(names, service, level), kind="exchange")


def _bit_pattern(level: int, bit: str) -> str:
    """Matches the keys whose bit for `level` is `bit`: one word for each bit, and one for the target."""
    words = ["*"] * (LEVELS + 1)
    words[LEVELS - 1 - level] = bit
    return ".".join(words)


def _word(queue: str) -> str:
    return queue.replace(".", ":")
