"""The store port's guarantees, on a real Redis and its own clock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.core.answers import Done
from pavane.errors import StateUnavailable
from pavane.ports.store import Store
from pavane.testing.conformance import StoreConformance
from pavane.testing.conformance.store_stage import Stage
from tests.servers import RedisServer


class TestRedisStore(StoreConformance):
    @pytest.fixture
    async def store(self, redis_server: RedisServer, namespace: str) -> AsyncIterator[Store]:
        store = RedisStore(redis_server.url, namespace=namespace, shards=4)
        await store.open()
        await store.initialise()
        yield store
        await store.close()


async def test_runs_can_be_ended_while_memory_is_full_but_nothing_is_added_to_them() -> None:
    with RedisServer() as server:
        store = RedisStore(server.url, namespace="full", shards=1)
        await store.open()
        await store.initialise()
        stages = [await Stage.built(store, str(number)) for number in range(4)]
        for stage in stages[2:]:
            await stage.pause()
        await stages[2].hold("s.b")
        redis.Redis.from_url(server.url).config_set("maxmemory", 1)
        adding = (
            *(stages[3].hold("s.b"), stages[0].pause(), stages[2].resume()),
            *(stages[0].skip(stages[0].job()), stages[0].move_deadline(2**42)),
        )
        for call in adding:
            with pytest.raises(StateUnavailable, match="memory is full"):
                await call
        assert await stages[0].cancel() == Done()
        assert await stages[1].compensate() == Done()
        released = await stages[2].cancel()
        assert isinstance(released, Done)
        assert [row.kind for row in released.rows] == ["job"]
        assert [await stage.phase() for stage in stages] == ["cancelled", "failed", "cancelled", "running"]
        await store.close()
