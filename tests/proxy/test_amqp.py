"""What RabbitMQ may do to its clients: confirms that never come, deliveries that come late or twice."""

from __future__ import annotations

import time

import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Message, ToSubscribers
from pavane.testing.conformance.broker_stage import Inbox, Stage, eventually
from tests.proxy import AmqpProxy


@pytest.mark.fault("B9")
@pytest.mark.fault("B9")
async def test_a_confirm_that_is_lost_is_missed_by_its_publisher_and_the_message_is_there(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    amqp.faults.lose_confirms = True
    with pytest.raises(BrokerUnavailable):
        await broker.publish(Message(b"kept"), ToSubscribers(stage.event))
    amqp.faults.lose_confirms = False
    assert amqp.faults.did["confirm lost"] >= 1
    await stage.until_ready(stage.first, 1)
    await stage.emit(b"again")
    await stage.until_ready(stage.first, 2)


@pytest.mark.fault("B13")
@pytest.mark.fault("B13")
async def test_a_repeated_delivery_arrives_twice_and_is_settled_once(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    bodies = [b"%d" % number for number in range(20)]
    amqp.faults.repeat_deliveries, amqp.faults.repeat_after = 1.0, 0.05
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    await stage.emit(*bodies)
    await inbox.holds(2 * len(bodies))
    assert sorted(inbox.bodies) == sorted(2 * bodies)
    assert amqp.faults.did["delivery repeated"] == len(bodies)
    amqp.faults.heal()
    await stage.emit(b"after")  # the channel has survived acknowledgements that the broker never saw
    await inbox.holds(2 * len(bodies) + 1)
    await subscription.close()
    assert await stage.ready(stage.first) == 0


async def test_an_acknowledgement_of_the_copy_alone_acknowledges_nothing(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    amqp.faults.repeat_deliveries = 1.0
    inbox = Inbox(settle=False)
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    await stage.emit(b"job")
    _, copy = await inbox.holds(2)
    amqp.faults.heal()
    copy.ack()
    await subscription.close()
    await stage.until_ready(stage.first, 1)


@pytest.mark.fault("B13")
async def test_a_delivery_that_is_held_is_overtaken_and_both_are_settled(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    amqp.faults.delay_deliveries = 0.5
    began = time.monotonic()
    await stage.emit(b"held")
    while not amqp.faults.did["delivery delayed"]:
        await stage.ready(stage.first)
    amqp.faults.delay_deliveries = 0.0
    await stage.emit(b"x" * 200_000)  # of two frames
    await inbox.holds(2)
    assert inbox.bodies == [b"x" * 200_000, b"held"]
    assert time.monotonic() - began >= 0.5
    await subscription.close()
    assert await stage.ready(stage.first) == 0


async def test_what_is_held_for_a_channel_that_was_reset_comes_again_from_the_broker(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    inbox = Inbox()
    await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    amqp.faults.delay_deliveries = 5.0
    await stage.emit(b"job")
    while not amqp.faults.did["delivery delayed"]:
        await stage.ready(stage.first)
    amqp.reset()
    amqp.heal()
    [delivery] = await inbox.holds(1)
    assert delivery.delivery_count == 1


@pytest.mark.fault("B6")
@pytest.mark.fault("B6")
async def test_a_consumer_whose_channel_the_broker_ends_comes_back(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    assert not amqp.ruin_channel()
    inbox = Inbox(settle=False)
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    await stage.emit(b"job")
    await inbox.holds(1)
    before = amqp.connections
    assert amqp.ruin_channel()
    _, again = await inbox.holds(2)
    assert (again.message.body, again.delivery_count) == (b"job", 1)
    assert amqp.connections == before
    again.ack()
    await stage.emit(b"next")
    await inbox.holds(3)
    assert subscription.ready


@pytest.mark.fault("N3")
async def test_a_half_open_connection_is_found_by_its_silence(
    amqp: AmqpProxy, broker: RabbitMQBroker, stage: Stage
) -> None:
    inbox = Inbox()
    subscription = await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
    before = amqp.connections
    amqp.stall()
    while amqp.connections == before:  # until it connects anew, over a line that still passes nothing
        with pytest.raises(BrokerUnavailable):
            await broker.publish(Message(b"into the void"), ToSubscribers(stage.event))
    assert not subscription.ready
    amqp.heal()

    async def passes() -> bool:
        try:
            await stage.emit(b"back")
        except BrokerUnavailable:
            return False
        return subscription.ready and b"back" in inbox.bodies

    await eventually("messages through the line that was healed", passes)
