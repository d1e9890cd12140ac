"""A broker that notes what is published, delivered and acknowledged.

A publish says in `detail`: `to` (`subscribers`, `queue` or `letters`), `queue` or `name` (the event's), `delay` in
milliseconds, and of a letter `letter`. A delivery says `queue` and `count`; its acknowledgement names it in `of`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from pavane.core import envelope
from pavane.core.identity import digest, step_id
from pavane.core.topology import Topology
from pavane.errors import TooLarge
from pavane.ports.broker import (
    Address,
    Broker,
    Delivery,
    Message,
    QueueCount,
    Subscription,
    ToDeadLetters,
    TopologyChange,
    ToQueue,
    ToSubscribers,
    Unroutable,
)
from tests.checker.history import History
from tests.checker.recorder import Facts, Recorder


def of_message(message: Message, queue: str = "") -> Facts:
    """The facts of a message. The worker, and with it the step, follow from the queue, or from what a letter says."""
    headers = message.headers
    event = envelope.cloud_text(headers, "id")
    undo = envelope.text(headers, envelope.KIND) == "undo"
    worker = envelope.text(headers, envelope.WORKER) or worker_of(queue)
    step = envelope.text(headers, envelope.STEP) or (step_id(worker, event) if worker else "")
    found: Facts = {
        "record": envelope.text(headers, envelope.RECORD) or envelope.text(headers, envelope.RUN),
        "worker": worker,
        "step": step,
        "kind": "undo" if undo else "step",
        "generation": envelope.number(headers, envelope.GENERATION, default=0),
        "event": event,
        "payload": digest(message.body),
    }
    return found


def worker_of(queue: str) -> str:
    """`service.worker` of a worker's queue, its undo's or its letters'; empty for any other."""
    _, _, rest = queue.partition(".")
    what, _, worker = rest.partition(".")
    return worker if what in ("q", "undo", "dlq") else ""


def of_address(message: Message, to: Address) -> Facts:
    """The facts of a publish."""
    match to:
        case ToSubscribers(event=name):
            return of_message(message) | {"detail": {"to": "subscribers", "name": name}}
        case ToQueue(queue=queue, delay=delay):
            return of_message(message, queue) | {"detail": {"to": "queue", "queue": queue, "delay": delay}}
        case ToDeadLetters(queue=queue):
            letter = envelope.text(message.headers, envelope.LETTER)
            return of_message(message, queue) | {
                "detail": {"to": "letters", "queue": queue, "letter": letter}
            }


class RecordingDelivery:
    """A delivery whose acknowledgement is noted, before it is made and once."""

    def __init__(self, delivery: Delivery, recorder: Recorder) -> None:
        self._delivery = delivery
        self._recorder = recorder
        self._acked = False
        self._facts = of_message(delivery.message, delivery.queue)
        said = {"queue": delivery.queue, "count": delivery.delivery_count}
        self._entry = recorder.note("ok", "deliver", self._facts | {"detail": said})

    def ack(self) -> None:
        if not self._acked:
            self._acked = True
            said = {"queue": self._delivery.queue}
            self._recorder.note("ok", "ack", self._facts | {"detail": said}, of=self._entry.seq)
        self._delivery.ack()

    @property
    def message(self) -> Message:
        return self._delivery.message

    @property
    def queue(self) -> str:
        return self._delivery.queue

    @property
    def delivery_count(self) -> int:
        return self._delivery.delivery_count

    @property
    def source_queue(self) -> str | None:
        return self._delivery.source_queue

    @property
    def problem(self) -> str | None:
        return self._delivery.problem


class RecordingBroker:
    """`pavane.ports.Broker` over another one.

    A queue that was full leaves it open whether others took the event: `Overloaded` is no sure failure.

    Args:
        process: whose calls these are, as the history shall name it.
    """

    def __init__(self, broker: Broker, history: History, process: str = "") -> None:
        self._broker = broker
        self._recorder = Recorder(history, process, surely=(Unroutable, TooLarge))

    async def publish(self, message: Message, to: Address) -> None:
        await self._recorder.operation(
            "publish", of_address(message, to), lambda: self._broker.publish(message, to), nothing_more
        )

    async def consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        def recorded(delivery: Delivery) -> None:
            receive(RecordingDelivery(delivery, self._recorder))

        return await self._broker.consume(queue, prefetch=prefetch, receive=recorded)

    async def get(self, queue: str) -> Delivery | None:
        delivery = await self._broker.get(queue)
        return RecordingDelivery(delivery, self._recorder) if delivery is not None else None

    async def take(self, queue: str, limit: int) -> Sequence[Delivery]:
        taken = await self._broker.take(queue, limit)
        return [RecordingDelivery(delivery, self._recorder) for delivery in taken]

    # what is passed through

    @property
    def connected(self) -> bool:
        return self._broker.connected

    async def open(self) -> None:
        await self._broker.open()

    async def close(self) -> None:
        await self._broker.close()

    async def plan(self, topology: Topology) -> list[TopologyChange]:
        return await self._broker.plan(topology)

    async def declare(self, topology: Topology) -> list[TopologyChange]:
        return await self._broker.declare(topology)

    async def unsubscribe(self, queue: str, event: str) -> None:
        await self._broker.unsubscribe(queue, event)

    async def known_events(self, events: Sequence[str]) -> list[bool]:
        return await self._broker.known_events(events)

    async def remove_event(self, event: str) -> bool:
        return await self._broker.remove_event(event)

    def migrate(
        self, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        return self._broker.migrate(queue, topology, events)

    async def remove(self, queue: str, events: Sequence[str] = ()) -> QueueCount | None:
        return await self._broker.remove(queue, events)

    async def give_back(self) -> None:
        await self._broker.give_back()

    async def count(self, queues: Sequence[str]) -> list[QueueCount | None]:
        return await self._broker.count(queues)


def nothing_more(answer: Any) -> Facts:
    """A confirm says nothing but that it is one."""
    return {}
