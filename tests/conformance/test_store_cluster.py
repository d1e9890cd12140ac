"""The store port's guarantees on a Redis Cluster of three nodes: the shards lie on different ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pavane.adapters.redis import RedisStore
from pavane.ports.store import Store
from pavane.testing.conformance import StoreConformance
from tests.servers.redis_groups import RedisCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster.start()
    cluster.close()


class TestClusterStore(StoreConformance):
    @pytest.fixture
    async def store(self, cluster: RedisCluster, namespace: str) -> AsyncIterator[Store]:
        store = RedisStore(cluster.url, namespace=namespace, shards=4)
        await store.open()
        await store.initialise()
        yield store
        await store.close()
