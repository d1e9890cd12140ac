"""W3C trace context travels with a job wherever it goes, although pavane makes no spans of its own."""

from __future__ import annotations

import asyncio

from pavane import App, Client, Context, Event, Service, Settings
from pavane.client.connection import close_pair, embedded, open_pair
from pavane.core.envelope import TRACE, event_headers
from pavane.core.record import EventRow
from pavane.ports.broker import Address, Message, ToDeadLetters, ToQueue, ToSubscribers
from pavane.runtime.clock import SystemClock

CONTEXT = ("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "vendor=value", "user=buyer-17,tier=gold")


class Asked(Event, name="trace.asked"):
    number: int


class Answered(Event, name="trace.answered"):
    number: int


def row() -> EventRow:
    return EventRow(
        id="asked-1",
        name=Asked.event_name,
        version=1,
        time=1,
        payload=b'{"number":1}',
        producer="elsewhere",
        trace=CONTEXT,
    )


def context_of(message: Message) -> tuple[object, ...]:
    return tuple(message.headers.get(name) for name in TRACE)


async def test_it_travels_through_retry_copies_dead_letters_redrive_and_what_is_emitted() -> None:
    mended, answered, died = asyncio.Event(), asyncio.Event(), asyncio.Event()
    service = Service("trace")

    @service.queue_worker("answer").retry(max_attempts=2, initial_delay=0.25, jitter_mode="none")
    async def answer(ctx: Context[None], event: Asked) -> Answered:
        if not mended.is_set():
            raise ConnectionError("not yet")
        return Answered(number=event.number)

    @service.queue_worker("listen")
    async def listen(ctx: Context[None], event: Answered) -> None:
        answered.set()

    settings, clock = Settings(namespace="t"), SystemClock()
    store, broker = embedded(settings, clock)
    await open_pair(store, broker)
    sent: list[tuple[Message, Address]] = []
    publish = broker.publish

    async def watched(message: Message, to: Address) -> None:
        sent.append((message, to))
        await publish(message, to)
        if isinstance(to, ToDeadLetters):
            died.set()

    broker.publish = watched  # type: ignore[method-assign]
    app = App(services=[service])
    await app.prepare(store, broker, settings)
    process = app.process(store, broker, settings, clock, alone=True)
    await process.start()
    try:
        client = Client.over(store, broker, settings=settings, clock=clock)
        message = Message(body=row().payload, headers=event_headers(row(), ""))
        await broker.publish(message, ToSubscribers(Asked.event_name))
        await asyncio.wait_for(died.wait(), 10)
        mended.set()
        report = await client.dead_letters.redrive(everything=True)
        assert report.done == 1
        await asyncio.wait_for(answered.wait(), 10)
    finally:
        await process.stop(1)
        await close_pair(store, broker)
    kinds = [type(to) for _, to in sent]
    assert kinds == [ToSubscribers, ToQueue, ToDeadLetters, ToQueue, ToSubscribers]
    assert [context_of(message) for message, _ in sent] == [CONTEXT] * 5
