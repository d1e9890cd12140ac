"""Dead letters: listing them and a full redrive, beside a plain loop that publishes as many messages once more.

The plain loop is what one would write with aio-pika to empty one queue into another: consume with a prefetch,
publish with confirm, acknowledge. It chooses nothing, records nothing and marks nothing.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from pavane import App, Client, Context, Event, Service, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.topology import Names
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from tests.integration.letter_bulk import fill

LETTERS = int(os.environ.get("LETTERS", "3000"))
ROUNDS = 3
PREFETCH = 32
TEXT = "x" * 150
WORKER = "letters.charge"


class Charged(Event, name="letters.charged"):
    number: int
    text: str


async def charge(ctx: Context[None], event: Charged) -> None:
    """Never called: nobody works here."""


async def measure(broker_url: str, state_url: str) -> dict[str, float]:
    """Rates in letters a second, medians of the rounds, and both as shares of the plain loop's."""
    service = Service("letters")
    service.queue_worker("charge").handler(charge)
    settings = Settings(broker_url=broker_url, state_url=state_url, namespace="bench_letters")
    store, broker = connect(settings)
    await open_pair(store, broker)
    await App(services=[service]).prepare(store, broker, settings)
    rounds: list[tuple[float, float, float]] = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close_pair, store, broker)
        plain = await stack.enter_async_context(PlainLoop(broker_url))
        client = Client.over(store, broker, settings=settings, clock=SystemClock())
        for number in range(ROUNDS + 1):
            found = await _round(store, broker, client, plain, number)
            if number:  # the first one warms up
                rounds.append(found)
    ls, redrive, republish = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"{LETTERS} dead letters: ls {ls:.0f}/s   redrive {redrive:.0f}/s   plain republish {republish:.0f}/s"
        f"   ratio {ls / republish:.2f} and {redrive / republish:.2f}",
        flush=True,
    )
    return {
        "ls_per_s": round(ls, 1),
        "redrive_per_s": round(redrive, 1),
        "plain_per_s": round(republish, 1),
        "ls_ratio": round(ls / republish, 3),
        "redrive_ratio": round(redrive / republish, 3),
    }


async def _round(
    store: Store, broker: Broker, client: Client, plain: PlainLoop, number: int
) -> tuple[float, float, float]:
    names = Names("bench_letters")
    payloads = [f'{{"number":{n},"text":"{TEXT}{number}"}}'.encode() for n in range(LETTERS)]
    await fill(store, broker, names, WORKER, Charged.event_name, payloads, prefix=f"{number}-")
    await plain.fill(payloads)
    republish = await plain.run(LETTERS)
    started = time.perf_counter()
    cursor, listed = None, 0
    while True:
        page = await client.dead_letters.list().page(1000, cursor)
        listed, cursor = listed + len(page.items), page.cursor
        if cursor is None:
            break
    ls = time.perf_counter() - started
    started = time.perf_counter()
    report = await client.dead_letters.redrive(everything=True)
    redrive = time.perf_counter() - started
    if (listed, report.done) != (LETTERS, LETTERS):
        raise RuntimeError(f"{LETTERS} letters were there, {listed} listed, {report}")
    return LETTERS / ls, LETTERS / redrive, LETTERS / republish


class PlainLoop:
    """Two quorum queues; every message of the first is published to the second."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> PlainLoop:
        publishing = await self._stack.enter_async_context(await aio_pika.connect_robust(self._url))
        consuming = await self._stack.enter_async_context(await aio_pika.connect_robust(self._url))
        publisher = await publishing.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = publisher.default_exchange
        self._consumer = await consuming.channel()
        await self._consumer.set_qos(prefetch_count=PREFETCH)
        durable = {"x-queue-type": "quorum"}
        self._from = await self._consumer.declare_queue("bench.from", durable=True, arguments=durable)
        await self._consumer.declare_queue("bench.to", durable=True, arguments=durable)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def fill(self, payloads: list[bytes]) -> None:
        room = asyncio.Semaphore(100)

        async def put(payload: bytes) -> None:
            async with room:
                await self._publish("bench.from", payload, {"number": "1"})

        await asyncio.gather(*(put(payload) for payload in payloads))

    async def run(self, count: int) -> float:
        """Seconds until `count` messages have moved."""
        done, left = asyncio.Event(), count

        async def move(message: AbstractIncomingMessage) -> None:
            nonlocal left
            await self._publish("bench.to", message.body, message.headers)
            await message.ack()
            left -= 1
            if left == 0:
                done.set()

        started = time.perf_counter()
        tag = await self._from.consume(move)
        await done.wait()
        elapsed = time.perf_counter() - started
        await self._from.cancel(tag)
        return elapsed

    async def _publish(self, queue: str, body: bytes, headers: aio_pika.abc.HeadersType) -> None:
        message = aio_pika.Message(
            body,
            headers=headers,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await self._exchange.publish(message, routing_key=queue, mandatory=True)
