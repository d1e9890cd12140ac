"""The store port's guarantees, on a real Redis and its own clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pavane.adapters.redis import RedisStore
from pavane.ports.store import Store
from pavane.testing.conformance import StoreConformance
from tests.servers import RedisServer


class TestRedisStore(StoreConformance):
    @pytest.fixture
    async def store(self, redis_server: RedisServer, namespace: str) -> AsyncIterator[Store]:
        store = RedisStore(redis_server.url, namespace=namespace, shards=4)
        await store.open()
        await store.initialise()
        yield store
        await store.close()
