"""A subscription that outlives its channel, its connection and even its queue."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from aiormq.exceptions import ChannelNotFoundEntity

from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.consumer import Consumer
from pavane.adapters.rabbitmq.declare import count_of
from pavane.core.migration import interim
from pavane.errors import BrokerUnavailable, InfrastructureError
from pavane.ports.broker import Delivery

log = logging.getLogger(__name__)

FIRST_PAUSE = (0.05, 0.5)
PAUSE = (1.0, 3.0)
"""Seconds before a lost consumer is set up again: at once nearly, then less often. Drawn anew each time."""


class RabbitMQSubscription:
    """See `pavane.ports.broker.Subscription`.

    Args:
        restore_queue: declares the queue again if it is ours to declare; answers whether it did.
    """

    def __init__(
        self,
        link: Link,
        queue: str,
        *,
        prefetch: int,
        receive: Callable[[Delivery], None],
        restore_queue: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._receive = receive
        self._restore_queue = restore_queue
        self._consumer: Consumer | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self._woken = asyncio.Event()
        self._asked_over = False
        self._changing = asyncio.Lock()

    @property
    def ready(self) -> bool:
        return self._link.up and self._consumer is not None and self._consumer.consuming

    @property
    def closed(self) -> bool:
        return self._closed

    async def start(self) -> None:
        """Consume, and keep consuming until `cancel`.

        Raises:
            BrokerUnavailable: the first consumer could not be created.
        """
        await self._attach()
        self._keeper = asyncio.create_task(self._keep(), name=f"pavane keeps {self._queue}")

    async def set_prefetch(self, prefetch: int) -> None:
        async with self._changing:
            if prefetch == self._prefetch:
                return
            self._prefetch = prefetch
            consumer = self._consumer
            if consumer and consumer.consuming:
                try:
                    await consumer.set_prefetch(prefetch)
                except BrokerUnavailable as lost:
                    # The next consumer has the new prefetch from its beginning.
                    log.warning("%s", lost)

    async def cancel(self) -> None:
        await self._stop_keeping()
        async with self._changing:
            if self._consumer:
                await self._consumer.cancel()

    async def close(self) -> None:
        self._closed = True
        await self._stop_keeping()
        async with self._changing:
            consumer, self._consumer = self._consumer, None
            if consumer:
                await consumer.close()

    async def _stop_keeping(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper:
            keeper.cancel()
            await asyncio.wait([keeper])

    async def _keep(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            if self._asked_over:
                self._asked_over = False
                await self._change_over()
            if self._consumer is None or self._consumer.lost:
                log.warning("the consumer of %s is gone, setting it up again", self._queue)
                await self._reattach()
                log.info("%s has its consumer again", self._queue)

    def _ask_over(self) -> None:
        self._asked_over = True
        self._woken.set()

    async def _change_over(self) -> None:
        """The queue is being replaced: on to its interim, or from there to the new one, with what is in hand."""
        async with self._changing:
            consumer = self._consumer
            if consumer is None or not consumer.consuming:
                return
            place = interim(self._queue) if consumer.place == self._queue else self._queue
            try:
                if await count_of(self._link, place) is not None:
                    await consumer.change_over(place)
                    log.info("%s is being replaced: consuming %s", self._queue, place)
            except BrokerUnavailable as lost:
                log.warning("%s", lost)

    async def _reattach(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await asyncio.sleep(random.uniform(*pause))
            pause = PAUSE
            try:
                await self._link.wait_up()
                async with self._changing:
                    await self._attach()
                return
            except InfrastructureError as refusal:
                log.warning("%s", refusal)
            except Exception:
                # A consumer that never comes back is worse than any error: say it, and try again.
                log.exception("could not set up the consumer of %s", self._queue)

    async def _attach(self) -> None:
        """Put a new consumer in the place of the old one, whose unsettled deliveries are void from now on."""
        old, self._consumer = self._consumer, None
        if old:
            await old.close()
        try:
            self._consumer = await self._consume()
        except BrokerUnavailable as refusal:
            if not isinstance(refusal.__cause__, ChannelNotFoundEntity):
                raise
            if not await self._restore_queue(self._queue):
                raise BrokerUnavailable(
                    f"there is no queue {self._queue}", remedy="Declare it with `pavane topology apply`."
                ) from refusal
            self._consumer = await self._consume()

    async def _consume(self) -> Consumer:
        channel, tap = await self._link.tapped_channel()
        consumer = Consumer(
            channel,
            tap,
            self._queue,
            prefetch=self._prefetch,
            receive=self._receive,
            lost=self._woken.set,
            asked_over=self._ask_over,
        )
        try:
            await consumer.start()
        except BaseException:
            # Also when we are cancelled here: a consumer that nobody knows would swallow messages.
            await consumer.close()
            raise
        return consumer
