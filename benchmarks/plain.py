"""The chain that pavane is measured against: plain aio-pika, confirms and manual acks, no state, no retries."""

from __future__ import annotations

import asyncio
import json
import time

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage, AbstractRobustConnection

STEPS = 5


class PlainChain:
    """Five quorum queues; each message is parsed, published to the next queue with confirm, then acknowledged."""

    def __init__(self, url: str, name: str, *, prefetch: int) -> None:
        self._url = url
        self._name = name
        self._prefetch = prefetch
        self._left = 0
        self._done = asyncio.Event()
        self._connections: list[AbstractRobustConnection] = []
        self._exchange: AbstractExchange | None = None

    async def open(self) -> None:
        publishing = await aio_pika.connect_robust(self._url)
        consuming = await aio_pika.connect_robust(self._url)
        self._connections = [publishing, consuming]
        channel = await publishing.channel(publisher_confirms=True, on_return_raises=True)
        self._exchange = await channel.declare_exchange(
            self._name, aio_pika.ExchangeType.DIRECT, durable=True
        )
        for step in range(STEPS):
            own = await consuming.channel()
            await own.set_qos(prefetch_count=self._prefetch)
            queue = await own.declare_queue(
                f"{self._name}.{step}", durable=True, arguments={"x-queue-type": "quorum"}
            )
            await queue.bind(self._name, f"{self._name}.{step}")
            await queue.consume(self._handler(step))

    def _handler(self, step: int):  # type: ignore[no-untyped-def]
        async def handle(message: AbstractIncomingMessage) -> None:
            payload = json.loads(message.body)
            if step + 1 < STEPS:
                await self._publish(step + 1, payload)
            await message.ack()
            if step + 1 == STEPS:
                self._left -= 1
                if self._left == 0:
                    self._done.set()

        return handle

    async def _publish(self, step: int, payload: dict[str, object]) -> None:
        message = aio_pika.Message(
            json.dumps(payload).encode(),
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            headers={"run": str(payload["run"])},
        )
        if self._exchange is not None:
            await self._exchange.publish(message, routing_key=f"{self._name}.{step}", mandatory=True)

    async def run(self, runs: int, in_flight: int, text: str) -> float:
        """Seconds that `runs` runs take, from the first publish to the last acknowledgement."""
        self._left = runs
        self._done.clear()
        room = asyncio.Semaphore(in_flight)

        async def start(number: int) -> None:
            async with room:
                await self._publish(0, {"run": number, "text": text})

        started = time.perf_counter()
        await asyncio.gather(*(start(number) for number in range(runs)))
        await self._done.wait()
        return time.perf_counter() - started

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()
