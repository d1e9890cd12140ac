"""The port `pavane.ports.broker.Broker` on RabbitMQ: puts the parts of this package together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial

from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity
from yarl import URL

from pavane.adapters.rabbitmq import decode
from pavane.adapters.rabbitmq.border import border
from pavane.adapters.rabbitmq.connection import CONNECT_TIMEOUT, Link
from pavane.adapters.rabbitmq.declare import (
    bind,
    declare,
    delete,
    delete_exchange,
    exists,
    plan,
    restore,
    unbind,
)
from pavane.adapters.rabbitmq.getter import Getter
from pavane.adapters.rabbitmq.migration import Migration, alone_with
from pavane.adapters.rabbitmq.publisher import Publisher
from pavane.adapters.rabbitmq.subscription import RabbitMQSubscription
from pavane.adapters.rabbitmq.topology import Declarations, declarations, subscription, ways_to
from pavane.core.migration import is_movable
from pavane.core.topology import Names, Topology
from pavane.errors import BrokerUnavailable, InfrastructureError, UsageError
from pavane.ports.broker import Address, Delivery, Message, QueueCount, Subscription, TopologyChange

log = logging.getLogger(__name__)

REPLY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0


class RabbitMQBroker:
    """See `pavane.ports.broker.Broker`.

    Args:
        urls: `amqp://` or `amqps://`; several nodes of one cluster separated by commas.
        namespace: prefix of every queue and exchange.
        heartbeat: seconds between signs of life; a frozen peer is noticed within three of them.
        publish_timeout: seconds until a publish that was not confirmed is given up.
        max_body: bytes of the longest body of an event.
        first_contact: seconds that opening may take, all nodes together.
        name: of the connections, for the broker's own tools.
    """

    def __init__(
        self,
        urls: str,
        *,
        namespace: str,
        heartbeat: float = 15.0,
        publish_timeout: float = 10.0,
        max_body: int = 262_144,
        first_contact: float = CONNECT_TIMEOUT,
        name: str = "pavane",
    ) -> None:
        self._names = Names(namespace)
        nodes = [URL(url.strip()) for url in urls.split(",") if url.strip()]
        self._publishing, self._consuming = (
            Link(nodes, name=f"{name} {what}", heartbeat=heartbeat, first_contact=first_contact)
            for what in ("publish", "consume")
        )
        self._link_once = partial(Link, nodes, name=f"{name} migrate", heartbeat=heartbeat, comes_back=False)
        self._publish_timeout = publish_timeout
        self._publisher = Publisher(
            self._publishing,
            self._names,
            timeout=publish_timeout,
            max_body=max_body,
            missing=self._exchange_missing,
        )
        self._subscriptions: list[RabbitMQSubscription] = []
        self._getter = Getter(self._consuming)
        self._declared: Declarations | None = None
        self._restoring: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._publishing.up and self._consuming.up

    async def open(self) -> None:
        decode.install()
        await self._publishing.open()
        try:
            await self._consuming.open()
        except BaseException:
            await self._publishing.close()
            raise

    async def close(self) -> None:
        # Consumers first, but without waiting long for a broker that may be gone: what is unsettled goes back
        # with the connection in any case.
        subscriptions, self._subscriptions = self._subscriptions, []
        if self._restoring:
            self._restoring.cancel()
        closing = [asyncio.create_task(subscription.close()) for subscription in subscriptions]
        self._getter.stop()
        if closing:
            _, late = await asyncio.wait(closing, timeout=CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
        await asyncio.gather(self._publishing.close(), self._consuming.close())

    async def plan(self, topology: Topology) -> list[TopologyChange]:
        return await plan(self._publishing, declarations(topology))

    async def declare(self, topology: Topology) -> list[TopologyChange]:
        wanted = declarations(topology)
        done = await declare(self._publishing, wanted)
        self._declared = wanted
        return done

    async def unsubscribe(self, queue: str, event: str) -> None:
        await unbind(self._publishing, [subscription(self._names, queue, event)])

    async def known_events(self, events: Sequence[str]) -> list[bool]:
        return [await exists(self._publishing, self._names.event(event)) for event in events]

    async def remove_event(self, event: str) -> bool:
        return await delete_exchange(self._publishing, self._names.event(event))

    async def remove(self, queue: str, events: Sequence[str] = ()) -> QueueCount | None:
        [count] = await self.count([queue])
        if count is None or count.ready or count.consumers:
            return count
        prefix = f"{self._names.namespace}.dlq."
        ways = ways_to(self._names, queue, events, letters=queue.startswith(prefix))
        await unbind(self._publishing, ways)
        [count] = await self.count([queue])
        if count is not None and (count.ready or count.consumers):
            await bind(self._publishing, ways)
            return count
        await delete(self._publishing, queue)
        return None

    async def migrate(
        self, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        wanted = declarations(topology).of_queue(queue)
        if wanted is None or not is_movable(queue):
            raise UsageError(f"{queue!a} is no queue of these definitions that holds jobs or letters.")
        link = self._link_once()
        async with alone_with(link, queue):
            ways = [subscription(self._names, queue, event) for event in events]
            known = [way for way in ways if way not in wanted.bindings and await exists(link, way.source)]
            wanted = replace(wanted, bindings=(*wanted.bindings, *known))
            async for step in Migration(link, wanted, publish_timeout=self._publish_timeout).go():
                yield step

    async def publish(self, message: Message, to: Address) -> None:
        if self._restoring and not self._restoring.done():
            # Between an exchange and its bindings, a message would come back as unroutable.
            await asyncio.wait([self._restoring], timeout=REPLY_TIMEOUT)
        await self._publisher.publish(message, to)

    async def consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        subscription = RabbitMQSubscription(
            self._consuming,
            queue,
            prefetch=prefetch,
            receive=receive,
            restore_queue=self._restore_queue,
        )
        await subscription.start()
        self._subscriptions = [each for each in self._subscriptions if not each.closed] + [subscription]
        return subscription

    async def get(self, queue: str) -> Delivery | None:
        return await self._getter.get(queue)

    async def take(self, queue: str, limit: int) -> list[Delivery]:
        return await self._getter.take(queue, limit)

    async def give_back(self) -> None:
        await self._getter.give_back()

    async def count(self, queues: Sequence[str]) -> list[QueueCount | None]:
        channel: Channel | None = None
        counts: list[QueueCount | None] = []
        for queue in queues:
            if channel is None or channel.is_closed:
                channel = await self._consuming.channel()
            counts.append(await _count(channel, queue))
        if channel and not channel.is_closed:
            with border("closing a channel"):
                await channel.close(timeout=REPLY_TIMEOUT)
        return counts

    async def _restore_queue(self, queue: str) -> bool:
        """Declare a queue again that was deleted under its consumer, if this process declared it before."""
        wanted = self._declared.of_queue(queue) if self._declared else None
        if wanted is None:
            return False
        log.warning("queue %s is gone: declaring it again", queue)
        await restore(self._publishing, wanted)
        return True

    def _exchange_missing(self, exchange: str) -> bool:
        """A publish found no exchange: declare the topology again, once at a time, if it is ours; whether it is."""
        wanted = self._declared
        if wanted is None or all(each.name != exchange for each in wanted.exchanges):
            return False
        if self._restoring is None or self._restoring.done():
            self._restoring = asyncio.create_task(self._restore_all(wanted))
        return True

    async def _restore_all(self, wanted: Declarations) -> None:
        log.warning("an exchange is gone: declaring the topology again")
        try:
            await restore(self._publishing, wanted)
        except InfrastructureError as refusal:
            log.warning("could not declare the topology again: %s", refusal)


async def _count(channel: Channel, queue: str) -> QueueCount | None:
    try:
        with border(f"counting {queue}"):
            told = await channel.queue_declare(queue, passive=True, timeout=REPLY_TIMEOUT)
    except BrokerUnavailable as refusal:
        if isinstance(refusal.__cause__, ChannelNotFoundEntity):
            return None
        raise
    return QueueCount(queue, told.message_count or 0, told.consumer_count or 0)
