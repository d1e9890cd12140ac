"""Consumers and publishers come back after channel errors, deleted queues and exchanges, restarts, kills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiormq
import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.rabbitmq.subscription import RabbitMQSubscription
from pavane.core.topology import queues_of, wheel_queues_of
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Message, Subscription, ToQueue, ToSubscribers
from pavane.testing.conformance.broker_stage import Inbox, Stage, eventually
from tests.servers import RabbitServer


@pytest.fixture
async def broker(rabbit: RabbitServer, namespace: str) -> AsyncIterator[RabbitMQBroker]:
    broker = RabbitMQBroker(rabbit.url, namespace=namespace)
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
async def private() -> AsyncIterator[RabbitServer]:
    """A broker that a test may stop and kill."""
    server = RabbitServer()
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.close)


async def until_ready(*subscriptions: Subscription) -> None:
    async def all_ready() -> bool:
        return all(subscription.ready for subscription in subscriptions)

    await eventually("consumers on the broker", all_ready)


async def until_not_ready(*subscriptions: Subscription) -> None:
    async def none_ready() -> bool:
        return not any(subscription.ready for subscription in subscriptions)

    await eventually("no consumer on the broker", none_ready)


async def administer(url: str, act: Callable[[aiormq.abc.AbstractChannel], Awaitable[object]]) -> None:
    """Do something with a channel of a connection of its own."""
    async with aiormq.connect(url) as connection:
        await act(await connection.channel())


async def break_channel(subscription: Subscription) -> None:
    """Make the server close the consumer's channel, as it does for any command that it refuses."""
    assert isinstance(subscription, RabbitMQSubscription)
    consumer = subscription._consumer
    assert consumer is not None
    with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
        await consumer._channel.queue_declare("no_such_queue", passive=True)


@pytest.mark.fault("B6")
async def test_a_channel_error_costs_one_redelivery_and_no_other_consumer(
    broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    hit, spared = Inbox(settle=False), Inbox(settle=False)
    broken = await broker.consume(stage.first, prefetch=5, receive=hit.receive)
    other = await broker.consume(stage.second, prefetch=5, receive=spared.receive)
    await stage.emit(b"job")
    [before] = await hit.holds(1)
    [untouched] = await spared.holds(1)
    await break_channel(broken)
    await until_not_ready(broken)
    before.ack()  # on a channel that is gone: forgotten
    await until_ready(broken)
    after = (await hit.holds(2))[1]
    assert (after.message.body, after.delivery_count) == (b"job", 1)
    after.ack()
    untouched.ack()
    await stage.emit(b"next")
    await hit.holds(3)
    await spared.holds(2)
    assert other.ready
    assert spared.bodies == [b"job", b"next"]


@pytest.mark.fault("B7")
async def test_a_deleted_queue_is_declared_again_with_its_bindings(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    started = time.monotonic()
    await administer(rabbit.url, lambda channel: channel.queue_delete(stage.first))
    await until_not_ready(subscription)
    await until_ready(subscription)
    assert time.monotonic() - started < 5
    await stage.emit(b"event")
    await broker.publish(Message(b"delayed"), ToQueue(stage.first, 250))
    await inbox.holds(2)
    assert inbox.bodies == [b"event", b"delayed"]
    assert await broker.plan(stage.topology) == []


@pytest.mark.fault("B7")
async def test_a_queue_of_somebody_elses_is_waited_for(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    consuming = RabbitMQBroker(rabbit.url, namespace=namespace)  # never declares
    await consuming.open()
    inbox = Inbox()
    subscription = await consuming.consume(stage.first, prefetch=5, receive=inbox.receive)
    await administer(rabbit.url, lambda channel: channel.queue_delete(stage.first))
    await until_not_ready(subscription)
    assert await broker.count([stage.first]) == [None]
    await broker.declare(stage.topology)
    await until_ready(subscription)
    await stage.emit(b"event")
    await inbox.holds(1)
    await consuming.close()


async def test_what_is_delayed_for_a_queue_that_is_gone_is_parked_and_holds_up_nobody(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    inbox = Inbox()
    await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
    await administer(rabbit.url, lambda channel: channel.queue_delete(stage.undo))
    for _ in range(50):  # more than the 32 that RabbitMQ has in hand per queue while it dead-letters
        await broker.publish(Message(b"for nobody", {"run": "r"}), ToQueue(stage.undo, 250))
    await broker.publish(Message(b"for somebody"), ToQueue(stage.first, 250))
    await inbox.holds(1)
    await stage.until_ready(stage.topology.names.parked, 50)
    parked = await broker.get(stage.topology.names.parked)
    assert parked is not None
    assert (parked.message.body, dict(parked.message.headers)) == (b"for nobody", {"run": "r"})


@pytest.mark.fault("B7")
async def test_a_deleted_exchange_is_declared_again(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    await stage.emit(b"1")
    exchange = stage.topology.names.event(stage.event)
    await administer(rabbit.url, lambda channel: channel.exchange_delete(exchange))
    with pytest.raises(BrokerUnavailable, match="NOT_FOUND"):
        await stage.emit(b"2")
    await stage.emit(b"2")  # waits for exchange and bindings
    await stage.until_ready(stage.first, 2)
    await stage.until_ready(stage.second, 2)


async def test_an_exchange_that_was_deleted_before_its_first_use_is_declared_again(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = await Stage.build(broker, namespace)
    exchange = stage.topology.names.event(stage.event)
    await administer(rabbit.url, lambda channel: channel.exchange_delete(exchange))
    with pytest.raises(BrokerUnavailable, match="is being declared again"):
        await stage.emit(b"1")
    await stage.emit(b"1")
    await stage.until_ready(stage.first, 1)


@pytest.mark.fault("B12")
async def test_connections_that_the_server_closes_come_back(private: RabbitServer, namespace: str) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    await asyncio.to_thread(private.rabbitmqctl, "close_all_connections", "maintenance")
    await until_not_ready(subscription)
    await stage.emit(b"event")  # waits for the connection
    await until_ready(subscription)
    await inbox.holds(1)
    assert broker.connected
    await broker.close()


@pytest.mark.parametrize("kill", [False, True], ids=["restart", "kill -9"])
@pytest.mark.fault("B1")
async def test_a_broker_that_comes_back_has_its_consumers_and_all_it_confirmed(
    private: RabbitServer, namespace: str, kill: bool
) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    queues = (*queues_of(stage.topology), *wheel_queues_of(stage.topology))
    await asyncio.to_thread(private.settle, *queues)
    first, second = Inbox(settle=False), Inbox()
    subscriptions = [
        await broker.consume(stage.first, prefetch=100, receive=first.receive),
        await broker.consume(stage.second, prefetch=100, receive=second.receive),
    ]
    confirmed = await publish_until_it_breaks(stage, private, kill=kill)
    assert len(confirmed) > 20
    await asyncio.to_thread(private.start)
    came_up = time.monotonic()
    await until_ready(*subscriptions)
    assert time.monotonic() - came_up < 15
    await broker.publish(Message(b"afterwards"), ToSubscribers(stage.event))

    async def all_arrived() -> bool:
        for delivery in first.deliveries:
            delivery.ack()
        return {*confirmed, b"afterwards"} <= {*first.bodies} & {*second.bodies}

    await eventually("everything that was confirmed", all_arrived)
    await stage.until_ready(stage.first, 0)
    await broker.close()


async def publish_until_it_breaks(stage: Stage, server: RabbitServer, *, kill: bool) -> list[bytes]:
    """Publish many at a time, now and delayed, end the server meanwhile; the bodies that were confirmed."""
    confirmed: list[bytes] = []
    over = asyncio.Event()

    async def publish_some(publisher: int) -> None:
        number = 0
        while not over.is_set():
            body = b"%d-%d" % (publisher, number)
            try:
                await stage.emit(body)
                confirmed.append(body)
            except BrokerUnavailable:
                over.set()
            number += 1

    publishing = [asyncio.create_task(publish_some(publisher)) for publisher in range(10)]

    async def enough() -> bool:
        return len(confirmed) > 100

    await eventually("some were confirmed", enough)
    await asyncio.to_thread(server.kill if kill else server.stop)
    over.set()
    # Each publish in flight is answered, and never by a cancellation that nobody asked for.
    await asyncio.wait_for(asyncio.gather(*publishing), 15)
    return list(confirmed)


@pytest.mark.fault("B1")
async def test_a_delayed_message_survives_a_kill(private: RabbitServer, namespace: str) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    queues = (*queues_of(stage.topology), *wheel_queues_of(stage.topology))
    await asyncio.to_thread(private.settle, *queues)
    inbox = Inbox()
    await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
    published = time.monotonic()
    await broker.publish(Message(b"later"), ToQueue(stage.first, 1750))
    await asyncio.to_thread(private.restart, kill=True)
    await inbox.holds(1)
    assert time.monotonic() - published >= 1.75
    assert inbox.bodies == [b"later"]
    await broker.close()


async def test_a_missing_broker_is_reported_in_time_and_closing_does_not_wait_for_it(
    private: RabbitServer, namespace: str
) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace, publish_timeout=1.5)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    subscription = await broker.consume(stage.first, prefetch=1, receive=Inbox().receive)
    await asyncio.to_thread(private.kill)
    await until_not_ready(subscription)
    assert not broker.connected
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        await stage.emit(b"nobody there")
    assert time.monotonic() - started < 3
    with pytest.raises(BrokerUnavailable):
        await broker.count([stage.first])
    with pytest.raises(BrokerUnavailable):
        await broker.get(stage.first)
    started = time.monotonic()
    await subscription.close()
    await broker.close()
    assert time.monotonic() - started < 2


@pytest.mark.fault("N3")
async def test_a_frozen_broker_is_noticed_by_its_silence(private: RabbitServer, namespace: str) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace, heartbeat=1, publish_timeout=1)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=1, receive=inbox.receive)
    private.freeze()
    try:
        with pytest.raises(BrokerUnavailable):
            await stage.emit(b"unheard")
        await until_not_ready(subscription)
    finally:
        private.thaw()
    await until_ready(subscription)

    async def sent() -> bool:  # the other connection may come back a little later
        try:
            await stage.emit(b"heard")
        except BrokerUnavailable:
            return False
        return True

    async def heard() -> bool:
        return b"heard" in inbox.bodies

    await eventually("a confirm after the thaw", sent)
    await eventually("the message after the thaw", heard)
    await broker.close()


async def test_our_own_cancellation_passes_through(private: RabbitServer, namespace: str) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    private.freeze()
    try:
        publishing = asyncio.create_task(stage.emit(b"unanswered"))
        await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
    finally:
        private.thaw()
    await stage.emit(b"answered")
    await broker.close()


async def test_a_connection_under_constant_load_is_not_taken_for_a_dead_one(
    rabbit: RabbitServer, namespace: str
) -> None:
    """The broker sends no heartbeats while it sends messages; aiormq gives a silent connection up after 6 s."""
    broker = RabbitMQBroker(rabbit.url, namespace=namespace, heartbeat=1)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=10, receive=inbox.receive)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        await stage.emit(b"again")
        assert subscription.ready
    await broker.close()
