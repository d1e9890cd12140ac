"""What a world assumes of real servers and no other test shows: what its caller has given up may happen later."""

from __future__ import annotations

import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.redis import RedisStore
from pavane.errors import BrokerUnavailable, StateUnavailable
from pavane.testing.conformance import broker_stage, store_stage
from tests.servers import RabbitServer, RedisServer


async def test_a_call_that_was_given_up_is_done_when_the_server_goes_on() -> None:
    with RedisServer() as server:
        store = RedisStore(server.url, namespace="late", shards=1, timeout=0.5)
        await store.open()
        await store.initialise()
        stage = await store_stage.Stage.built(store)
        server.freeze()
        with pytest.raises(StateUnavailable):
            await stage.begin()
        server.thaw()

        async def begun() -> bool:
            record = await store.read(stage.run)
            return record is not None and bool(record.steps)

        await broker_stage.eventually("the step that nobody waits for any more", begun)
        await store.close()


async def test_a_publish_that_was_given_up_arrives_when_the_broker_goes_on(namespace: str) -> None:
    with RabbitServer() as server:
        broker = RabbitMQBroker(server.url, namespace=namespace, publish_timeout=1)
        await broker.open()
        stage = await broker_stage.Stage.build(broker, namespace)
        await stage.emit(b"early")
        server.freeze()
        with pytest.raises(BrokerUnavailable):
            await stage.emit(b"late")
        server.thaw()
        inbox = broker_stage.Inbox()
        await broker.consume(stage.first, prefetch=5, receive=inbox.receive)
        await inbox.holds(2)
        assert inbox.bodies == [b"early", b"late"]
        await broker.close()
