"""A namespace in memory without workers: the tests play the worker's part, one call at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pavane import Client, Event, Settings, Workflow
from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.store import MemoryStore
from pavane.core.answers import Dead, Granted
from pavane.core.calls import Begin, CopyMark, Fail, Mark, Verdict
from pavane.core.envelope import LETTER, event_headers, letter_headers
from pavane.core.identity import letter_id, step_id
from pavane.core.record import Letter, Record
from pavane.core.topology import Names, Topology, WorkerTopology
from pavane.ports.broker import Message, ToDeadLetters
from pavane.ports.store import Registration

START = 1_767_225_600_000
WORKER = "stock.reserve"


class Placed(Event, name="clienttest.placed"):
    order: str


class Confirmed(Event, name="clienttest.confirmed"):
    order: str


class Refused(Event, name="clienttest.refused"):
    order: str


orders = Workflow(
    "orders",
    starts_with=Placed,
    run_id=lambda event: event.order,
    completes_with=[Confirmed],
    fails_with=[Refused],
)


class _NoAlarm:
    def cancel(self) -> None:
        """Nothing was set."""


class JumpingClock:
    """Sleeping moves it; `asleep` is what happens meanwhile."""

    def __init__(self) -> None:
        self.time = START
        self.sleeps: list[int] = []
        self.asleep: Callable[[], None] = lambda: None

    def now(self) -> int:
        return self.time

    def call_at(self, at: int, callback: Callable[[], None]) -> _NoAlarm:
        return _NoAlarm()

    async def sleep(self, duration: int) -> None:
        self.sleeps.append(duration)
        self.time += duration
        self.asleep()


@dataclass
class Stage:
    clock: JumpingClock
    store: MemoryStore
    broker: MemoryBroker
    client: Client

    names = Names("t")
    dlq = names.dead_letter_queue("stock", "reserve")
    queue = names.queue("stock", "reserve")

    @classmethod
    async def build(cls) -> Stage:
        clock = JumpingClock()
        store, broker = MemoryStore(clock), MemoryBroker(clock)
        await broker.open()
        worker = WorkerTopology(service="stock", worker="reserve", events=(Placed.event_name,), undo=True)
        await broker.declare(Topology(namespace="t", workers=(worker,)))
        await store.register(
            Registration(service="stock", subscriptions={WORKER: (Placed.event_name,)}, workflows={})
        )
        settings = Settings(namespace="t", actor="tester")
        return cls(clock, store, broker, Client.over(store, broker, settings=settings, clock=clock))

    async def start(self, order: str) -> str:
        """Start a run; its key."""
        self.clock.time += 1
        return (await self.client.start(orders, Placed(order=order))).run

    async def record(self, run: str) -> Record:
        record = await self.store.read(run)
        assert record is not None
        return record

    async def begin(self, run: str, begin_id: str = "1", generation: int = 0) -> Granted:
        record = await self.record(run)
        event = record.events[record.head.start_event]
        granted = await self.store.begin(
            Begin(
                record=run,
                step=step_id(WORKER, event.id),
                worker=WORKER,
                event=event,
                generation=generation,
                begin_id=begin_id,
                host="host:1",
                lease=30_000,
            )
        )
        assert isinstance(granted, Granted), granted
        return granted

    async def die(self, run: str, *, generation: int = 0, policy: str = "stall", error: str = "boom") -> str:
        """Let the run's first step be rejected, and its letter arrive in the queue; the letter's id."""
        granted = await self.begin(run, f"{run}/{generation}", generation)
        record = await self.record(run)
        event = record.events[record.head.start_event]
        step = step_id(WORKER, event.id)
        letter = Letter(
            id=letter_id(run, step, "step"),
            kind="step",
            step=step,
            worker=WORKER,
            event=event.id,
            reason="rejected",
            error=error,
            error_type="Boom",
            fingerprint="f" * 12,
        )
        answer = await self.store.fail(
            Fail(
                record=run,
                step=step,
                token=granted.token,
                outcome="rejected",
                error=error,
                error_type="Boom",
                verdict=Verdict(letter=letter, policy=policy),  # type: ignore[arg-type]
            )
        )
        assert isinstance(answer, Dead)
        headers = letter_headers(
            event_headers(event, run),
            letter=letter.id,
            reason="rejected",
            worker=WORKER,
            record=run,
            step=step,
            generation=answer.generation,
        )
        await self.broker.publish(Message(body=event.payload, headers=headers), ToDeadLetters(self.dlq))
        copy = CopyMark(step=step, kind="step", generation=answer.generation)
        await self.store.mark(Mark(record=run, copies=(copy,)))
        return letter.id

    async def empty(self, queue: str) -> list[Message]:
        """Take everything out of a queue."""
        found: list[Message] = []
        while (delivery := await self.broker.get(queue)) is not None:
            delivery.ack()
            found.append(delivery.message)
        return found

    async def letters_queued(self) -> list[str]:
        """Ids of the letters in the dead-letter queue, in order; they are put back."""
        messages = await self.empty(self.dlq)
        for message in messages:
            await self.broker.publish(message, ToDeadLetters(self.dlq))
        return [str(message.headers[LETTER]) for message in messages]
