"""What RabbitMQ refuses: publishes during an alarm or to a full queue, credentials, arguments that differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiormq
import pytest
from pamqp.common import FieldTable

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.rabbitmq.topology import declarations
from pavane.errors import BrokerUnavailable, Overloaded, TooLarge, TopologyMismatch
from pavane.ports.broker import HeaderValue, Message, ToDeadLetters, ToQueue, ToSubscribers
from pavane.testing.conformance.broker_stage import Inbox, Stage, eventually
from tests.servers import RabbitServer, free_port

NAMESPACE = "refusals"  # shared, as a delay wheel per test would be slow; each stage has names of its own


@pytest.fixture
async def broker(rabbit: RabbitServer) -> AsyncIterator[RabbitMQBroker]:
    broker = RabbitMQBroker(rabbit.url, namespace=NAMESPACE)
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
async def private() -> AsyncIterator[RabbitServer]:
    """A broker that a test may throttle."""
    server = RabbitServer()
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.close)


@pytest.mark.fault("B4")
async def test_during_a_memory_alarm_publishing_times_out_and_consuming_goes_on(
    private: RabbitServer, namespace: str
) -> None:
    broker = RabbitMQBroker(private.url, namespace=namespace, publish_timeout=1)
    await broker.open()
    stage = await Stage.build(broker, namespace)
    await stage.emit(*(b"%d" % number for number in range(20)))
    await asyncio.to_thread(private.rabbitmqctl, "set_vm_memory_high_watermark", "absolute", "1MB")
    inbox = Inbox()
    try:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="did not confirm"):
            await stage.emit(b"blocked")
        assert 1 <= time.monotonic() - started < 3
        # One is enough to be told that the broker reads no more: the next do not even leave.
        with pytest.raises(BrokerUnavailable, match="did not confirm"):
            await stage.emit(b"held back")
        subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
        await inbox.holds(20)
        await subscription.close()  # the acknowledgements arrived, or these would be there again:
        await stage.until_ready(stage.first, 0)
    finally:
        await asyncio.to_thread(private.rabbitmqctl, "set_vm_memory_high_watermark", "0.9")
    await publish_again(stage)
    later = Inbox()
    await broker.consume(stage.first, prefetch=5, receive=later.receive)

    async def arrived() -> bool:
        return b"afterwards" in later.bodies

    await eventually("the message after the alarm", arrived)
    assert set(later.bodies) <= {b"blocked", b"afterwards"}
    await broker.close()


async def publish_again(stage: Stage) -> None:
    """As the relay does it: until it is confirmed."""

    async def confirmed() -> bool:
        try:
            await stage.emit(b"afterwards")
        except BrokerUnavailable:
            return False
        return True

    await eventually("a confirm after the alarm", confirmed)


@pytest.mark.fault("B9")
async def test_what_a_full_queue_refuses_at_once_is_refused_each_by_itself(broker: RabbitMQBroker) -> None:
    stage = await Stage.build(broker, NAMESPACE)

    async def publish_many() -> list[BaseException | None]:
        letters = (broker.publish(Message(b"letter"), ToDeadLetters(stage.letters)) for _ in range(50))
        jobs = (broker.publish(Message(b"job"), ToQueue(stage.first)) for _ in range(50))
        return await asyncio.gather(*letters, *jobs, return_exceptions=True)

    # A quorum queue tells its publishers late that it is full: all of a burst may still be kept.
    outcomes = await publish_many()
    outcomes_when_full = await publish_many()
    assert outcomes[50:] == outcomes_when_full[50:] == [None] * 50
    assert {type(outcome) for outcome in outcomes_when_full[:50]} == {Overloaded}
    # Refused means not kept, confirmed means kept.
    await stage.until_ready(stage.letters, outcomes[:50].count(None))
    taken = await broker.get(stage.letters)
    assert taken is not None
    taken.ack()


@pytest.mark.fault("B12")
async def test_wrong_credentials_are_named_but_not_shown(rabbit: RabbitServer, namespace: str) -> None:
    url = rabbit.url.replace("guest:guest", "guest:s3cret-word")
    with pytest.raises(BrokerUnavailable, match="refused") as refusal:
        await RabbitMQBroker(url, namespace=namespace).open()
    assert "s3cret" not in every_text_of(refusal.value)


async def test_an_unknown_virtual_host_is_named(rabbit: RabbitServer, namespace: str) -> None:
    url = rabbit.url.rstrip("/") + "/no_such_host"
    with pytest.raises(BrokerUnavailable, match="no_such_host") as refusal:
        await RabbitMQBroker(url, namespace=namespace).open()
    assert "guest:guest" not in every_text_of(refusal.value)


async def test_a_port_where_nobody_listens_fails_at_once(namespace: str) -> None:
    port = free_port()
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=str(port)) as refusal:
        await RabbitMQBroker(f"amqp://guest:s3cret-word@127.0.0.1:{port}/", namespace=namespace).open()
    assert time.monotonic() - started < 2
    assert "s3cret" not in every_text_of(refusal.value)


def every_text_of(error: BaseException | None) -> str:
    """The error and all it was raised from, as a traceback would show them."""
    return f"{error} {error!r} " + every_text_of(error.__cause__) if error else ""


@pytest.mark.fault("B3")
async def test_the_first_of_several_nodes_that_answers_is_taken(rabbit: RabbitServer, namespace: str) -> None:
    urls = f"amqp://guest:guest@127.0.0.1:{free_port()}/, {rabbit.url}"
    broker = RabbitMQBroker(urls, namespace=NAMESPACE)
    await broker.open()
    assert broker.connected
    stage = await Stage.build(broker, NAMESPACE)
    await stage.emit(b"event")
    await stage.until_ready(stage.first, 1)
    await broker.close()


async def test_other_arguments_are_explained_and_left(
    rabbit: RabbitServer, broker: RabbitMQBroker, namespace: str
) -> None:
    stage = Stage.plan(broker, namespace)
    jobs = stage.topology.names.jobs(stage.service)
    [first] = [queue for queue in declarations(stage.topology).queues if queue.name == stage.first]
    async with aiormq.connect(rabbit.url) as connection:
        channel = await connection.channel()
        limited: FieldTable = {**first.arguments, "x-delivery-limit": 5}
        await channel.queue_declare(stage.first, durable=True, arguments=limited)
        await channel.queue_declare(stage.second, durable=True)
        await channel.exchange_declare(jobs, exchange_type="fanout", durable=True)
    mismatches = [change for change in await broker.plan(stage.topology) if change.action == "mismatch"]
    explained = {change.name: (change.kind, change.argument, change.current) for change in mismatches}
    assert explained == {
        stage.first: ("queue", "x-delivery-limit", "5"),
        stage.second: ("queue", "x-dead-letter-exchange", "none"),
        jobs: ("exchange", "type", "fanout"),
    }
    assert all(("migrate" if change.kind == "queue" else "delete") in change.remedy for change in mismatches)
    with pytest.raises(TopologyMismatch, match="has x-delivery-limit 5, wanted is 20"):
        await broker.declare(stage.topology)
    assert await broker.count([stage.undo]) == [None]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"text": "x" * 130_000}, TooLarge),
        ({"not": float("nan")}, ValueError),
        ({"not": float("inf")}, ValueError),
        ({"big": 2**63}, ValueError),
        ({"n" * 256: 1}, ValueError),
    ],
    ids=["too large", "nan", "infinity", "65 bits", "long name"],
)
async def test_headers_that_would_cost_the_connection_are_refused_before_it(
    broker: RabbitMQBroker, headers: dict[str, HeaderValue], error: type[Exception]
) -> None:
    stage = await Stage.build(broker, NAMESPACE)
    with pytest.raises(error):
        await broker.publish(Message(b"{}", headers), ToQueue(stage.first))
    await broker.publish(Message(b"{}", {"n" * 255: 2**63 - 1, "text": "x" * 16_000}), ToQueue(stage.first))
    await stage.until_ready(stage.first, 1)


async def test_an_event_may_have_fewer_headers_than_a_copy(broker: RabbitMQBroker) -> None:
    stage = await Stage.build(broker, NAMESPACE)
    long = Message(b"{}", {"text": "x" * 20_000})
    with pytest.raises(TooLarge):
        await broker.publish(long, ToSubscribers(stage.event))
    await broker.publish(long, ToQueue(stage.first))
    await stage.until_ready(stage.first, 1)


async def test_a_message_names_the_user_that_published_it(
    rabbit: RabbitServer, broker: RabbitMQBroker
) -> None:
    stage = await Stage.build(broker, NAMESPACE)
    await stage.emit(b"ours")
    async with aiormq.connect(rabbit.url) as connection:
        channel = await connection.channel()
        jobs = stage.topology.names.jobs(stage.service)
        await channel.basic_publish(b"anonymous", exchange=jobs, routing_key=stage.first)
    inbox = Inbox()
    await broker.consume(stage.first, prefetch=2, receive=inbox.receive)
    deliveries = await inbox.holds(2)
    assert [delivery.message.user for delivery in deliveries] == ["guest", None]


async def test_publishing_and_settling_leave_no_task_behind(broker: RabbitMQBroker) -> None:
    stage = await Stage.build(broker, NAMESPACE)
    for queue in (stage.first, stage.second, stage.undo):
        await broker.consume(queue, prefetch=32, receive=Inbox().receive)
    before = len(asyncio.all_tasks())
    await stage.emit(b"event")
    await stage.until_ready(stage.first, 0)
    await stage.until_ready(stage.second, 0)

    async def as_before() -> bool:
        # One more than before: the reader of the channel that was opened to publish.
        return len(asyncio.all_tasks()) <= before + 1

    await eventually("no task is left over", as_before)
