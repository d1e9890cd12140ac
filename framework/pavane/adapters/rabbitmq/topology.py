"""Pure: which queues, exchanges and bindings a topology needs on RabbitMQ, with which arguments.

Every queue is a durable quorum queue that refuses publishes when full (`reject-publish`; the default drops
the oldest message, and makes dead-lettering at-most-once in silence) and has an explicit delivery limit:
RabbitMQ 3.10 has none by default and 4.x has 20.

Where RabbitMQ itself puts a message that came back too often:

    worker, undo and dead-letter queues  ->  the intake of their service
    intake                               ->  parked
    parked                               ->  nowhere: nobody consumes it

The delay wheel has sixteen levels; level n holds a message for 2^n units of 250 ms, all with one fixed
TTL, because a TTL per message blocks behind a longer one. The routing key is sixteen bits, highest first,
and the target queue as a seventeenth word (its dots replaced: the word count must be exact for `*`):

    0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.1.shop:q:stock:reserve     1.25 s to shop.q.stock.reserve

The exchange of a level sends a message whose bit is set to the level's queue and others on to the next
level; the queue dead-letters to the next level. A message so passes only the queues whose bit is set.

The wheel's last hop is the one exchange here with an alternate. At-least-once dead-lettering keeps a message
whose target is gone and has 32 of them in hand at most: 40 retries of a worker whose queue was deleted held up
every delay of the namespace (measured on 3.10.8). So such messages go on to `parked`. Nobody publishes there
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
        bindings = tuple(binding for binding in self.bindings if binding.target == name)
        sources = {binding.source for binding in bindings}
        exchanges = tuple(exchange for exchange in self.exchanges if exchange.name in sources)
        return Declarations(exchanges, queues, bindings, self.mark)


def declarations(topology: Topology) -> Declarations:
    """What RabbitMQ must hold for `topology`."""
    names = topology.names
    exchanges = [
        Exchange(names.exchange("events"), "topic"),
        Exchange(names.exchange("jobs"), "direct"),
        Exchange(names.exchange("dlx"), "direct"),
        Exchange(names.exchange("delay.lost"), "fanout"),
        Exchange(names.exchange("delay.out"), "topic", alternate=names.exchange("delay.lost")),
    ]
    queues = [Queue(names.parked, _arguments(delivery_limit=PARKED_LIMIT))]
    bindings = [
        Binding(names.exchange("dlx"), names.parked, names.parked),
        Binding(names.exchange("delay.lost"), "", names.parked),
    ]
    for level in range(LEVELS):
        exchanges.append(Exchange(_level(names, level), "topic"))
        queues.append(_level_queue(names, level))
        bindings.extend(_level_bindings(names, level))
    for service in topology.services:
        queues.append(_intake(names, service))
        bindings.append(Binding(names.exchange("dlx"), names.intake(service), names.intake(service)))
        bindings.extend(_reachable(names, names.intake(service)))
    for worker in topology.workers:
        queues.extend(_worker_queues(names, worker))
        bindings.extend(_worker_bindings(names, worker))
    mark = Exchange(names.exchange("initialised"), "fanout")
    return Declarations(tuple(exchanges), tuple(queues), tuple(bindings), mark)


def ways_to(names: Names, queue: str, events: Sequence[str], *, letters: bool) -> tuple[Binding, ...]:
    """What leads to a queue of a worker: to its dead letters if they are `letters`, else to jobs or undos."""
    if letters:
        return (Binding(names.exchange("dlx"), queue, queue),)
    subscriptions = (Binding(names.exchange("events"), event, queue) for event in events)
    return (*subscriptions, *_reachable(names, queue))


def delay_route(names: Names, queue: str, delay: int) -> tuple[str, str]:
    """Exchange and routing key that bring a message to `queue` after `delay` milliseconds (more than 0)."""
    levels = wheel_levels(delay)
    bits = ".".join("1" if level in levels else "0" for level in reversed(range(LEVELS)))
    return _level(names, levels[0]), f"{bits}.{_word(queue)}"


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


def _intake(names: Names, service: str) -> Queue:
    return Queue(names.intake(service), _arguments(target=(names.exchange("dlx"), names.parked)))


def _worker_queues(names: Names, worker: WorkerTopology) -> Iterator[Queue]:
    """The worker's queue, its undo queue if it has one, its dead-letter queue."""
    to_intake = (names.exchange("dlx"), names.intake(worker.service))
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
        yield Binding(names.exchange("events"), event, queue)
    yield from _reachable(names, queue)
    if worker.undo:
        yield from _reachable(names, names.undo_queue(worker.service, worker.worker))
    letters = names.dead_letter_queue(worker.service, worker.worker)
    yield Binding(names.exchange("dlx"), letters, letters)


def _reachable(names: Names, queue: str) -> Iterator[Binding]:
    """A queue that jobs are sent to by its name, at once or over the wheel."""
    yield Binding(names.exchange("jobs"), queue, queue)
    yield Binding(names.exchange("delay.out"), ".".join(["*"] * LEVELS + [_word(queue)]), queue)


def _level(names: Names, level: int) -> str:
    """Name of the level's exchange and of its queue."""
    return names.exchange(f"delay.{level:02}")


def _next(names: Names, level: int) -> str:
    return _level(names, level - 1) if level else names.exchange("delay.out")


def _level_queue(names: Names, level: int) -> Queue:
    return Queue(_level(names, level), _arguments(target=(_next(names, level), None), ttl=UNIT_MS << level))


def _level_bindings(names: Names, level: int) -> Iterator[Binding]:
    here = _level(names, level)
    yield Binding(here, _bit_pattern(level, "1"), here)
    yield Binding(here, _bit_pattern(level, "0"), _next(names, level), kind="exchange")


def _bit_pattern(level: int, bit: str) -> str:
    """Matches the keys whose bit for `level` is `bit`: one word for each bit, and one for the target."""
    words = ["*"] * (LEVELS + 1)
    words[LEVELS - 1 - level] = bit
    return ".".join(words)


def _word(queue: str) -> str:
    return queue.replace(".", ":")
