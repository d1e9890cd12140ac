"""Receiving: one subscription per queue, one task per delivery, none of them owned by the broker's client.

The broker's callback only hands the delivery over. A channel that drops cancels nothing: the job goes on,
commits, and finds its redelivery already committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pavane.core import envelope
from pavane.ports.broker import Delivery, Subscription
from pavane.runtime import copies
from pavane.runtime.crew import Crew

PUT_OFF_FOR = 30_000
"""Milliseconds until a delivery that could not be settled is tried again."""

SUSPICIOUS_AFTER = 3
"""Deliveries of one message that came back; from then on its queue is consumed one message at a time."""

log = logging.getLogger("pavane")


class Consumer:
    """Consumes one queue and has each delivery settled in a task of its own."""

    def __init__(
        self, crew: Crew, queue: str, prefetch: int, settle: Callable[[Delivery], Awaitable[None]]
    ) -> None:
        self._crew = crew
        self._queue = queue
        self._prefetch = prefetch
        self._settle = settle
        self._subscription: Subscription | None = None
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._suspicious = 0
        self._slow = False
        self._changing = asyncio.Lock()
        self._subscribed = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether the consumer exists on the broker right now."""
        return self._subscription is not None and self._subscription.ready

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """The deliveries that are being settled, in the order in which they came."""
        return tuple(self._tasks)

    async def start(self) -> None:
        """Subscribe, waiting for the broker as long as it takes."""
        self._subscription = await self._crew.patience.insist(
            "broker",
            lambda: self._crew.broker.consume(self._queue, prefetch=self._prefetch, receive=self._receive),
        )
        self._subscribed.set()

    async def cancel(self) -> None:
        """Take no more deliveries; those that are being settled can still be acknowledged."""
        if self._subscription is not None:
            await self._subscription.cancel()

    async def close(self) -> None:
        """Give back what was not acknowledged."""
        if self._subscription is not None:
            await self._subscription.close()

    def _receive(self, delivery: Delivery) -> None:
        if self._crew.stopping:
            return
        task = asyncio.get_running_loop().create_task(self._handle(delivery))
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def _handle(self, delivery: Delivery) -> None:
        suspicious = delivery.delivery_count >= SUSPICIOUS_AFTER
        try:
            if suspicious:
                await self._slow_down(delivery)
            await self._settle(delivery)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("%s: a delivery could not be settled, which is a bug in pavane", self._queue)
            await self._put_off(delivery)
        finally:
            if suspicious:
                await self._speed_up()

    async def _put_off(self, delivery: Delivery) -> None:
        """Send it round the wheel: left unacknowledged it would keep its place in the prefetch for ever."""
        headers = delivery.message.headers
        generation = envelope.number(headers, envelope.GENERATION, default=0)
        await copies.send_again(self._crew, delivery, generation, PUT_OFF_FOR)
        delivery.ack()

    async def _slow_down(self, delivery: Delivery) -> None:
        """One at a time while a message is here that processes may have died of, before they could say so.

        It may be here before the subscription is: such a message is the first that a new process gets.
        """
        self._suspicious += 1
        async with self._changing:
            await self._subscribed.wait()
            if self._subscription is not None and not self._slow:
                self._slow = True
                log.warning("%s: a message came back %d times", self._queue, delivery.delivery_count)
                await self._subscription.set_prefetch(1)

    async def _speed_up(self) -> None:
        self._suspicious -= 1
        async with self._changing:
            over = self._slow and self._suspicious == 0 and not self._crew.stopping
            if self._subscription is not None and over:
                self._slow = False
                await self._subscription.set_prefetch(self._prefetch)
