"""Proxies in front of the session's servers, and what speaks through them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pavane.adapters.rabbitmq import RabbitMQBroker
from pavane.adapters.redis import RedisStore
from pavane.testing.conformance.broker_stage import Stage
from tests.proxy import AmqpProxy, LoopThread, RedisProxy
from tests.servers import RabbitServer, RedisServer

TIMEOUT = 1.0


@pytest.fixture(scope="session")
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


@pytest.fixture
def amqp(thread: LoopThread, rabbit: RabbitServer) -> Iterator[AmqpProxy]:
    with AmqpProxy(thread, rabbit.url) as proxy:
        yield proxy


@pytest.fixture
def resp(thread: LoopThread, redis_server: RedisServer) -> Iterator[RedisProxy]:
    with RedisProxy(thread, redis_server.url) as proxy:
        yield proxy


@pytest.fixture
async def broker(amqp: AmqpProxy, namespace: str) -> AsyncIterator[RabbitMQBroker]:
    """Speaks through the proxy; a confirm that does not come is given up after a second."""
    broker = RabbitMQBroker(amqp.url, namespace=namespace, heartbeat=1, publish_timeout=TIMEOUT)
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
async def stage(broker: RabbitMQBroker, namespace: str) -> Stage:
    return await Stage.build(broker, namespace)


@pytest.fixture
async def store(resp: RedisProxy, namespace: str) -> AsyncIterator[RedisStore]:
    """Speaks through the proxy; a reply that does not come is given up after a second."""
    store = RedisStore(resp.url, namespace=namespace, shards=1, timeout=TIMEOUT)
    await store.open()
    await store.initialise()
    yield store
    await store.close()
