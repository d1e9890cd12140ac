"""On RabbitMQ and Redis: a run that version 1 has begun, in the record and in a queue, is finished by version 2."""

from __future__ import annotations

import asyncio

import pytest

from pavane import Client, Settings
from tests.releases import ONE_PIECE, Release
from tests.servers import RabbitServer, RedisServer

PATIENCE = 30.0
LIFTED = {"order": "1", "sku": "lamp", "pieces": ONE_PIECE}
REFUSED = {"order": "2", "sku": "none", "pieces": ONE_PIECE}


@pytest.fixture
def settings(rabbit: RabbitServer, redis_server: RedisServer, namespace: str) -> Settings:
    return Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace)


async def waiting(client: Client, worker: str, jobs: int) -> None:
    """Return when so many jobs wait in the worker's queue."""
    async with asyncio.timeout(PATIENCE):
        while jobs not in [one.ready for one in await client.queues() if one.worker == worker]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_what_version_1_has_begun_version_2_finishes(settings: Settings) -> None:
    old = Release(1)
    async with old.app.running(settings, only=["stock"]) as client:
        for order, sku in (("1", "lamp"), ("2", "none")):
            await client.start(old.orders, old.order(order, sku))
        async with Client(settings) as onlooker:
            await waiting(onlooker, "mail.confirm", 2)
    new = Release(2)
    async with new.app.running(settings) as client:
        confirmed = await client.run(new.orders, "1").result(PATIENCE)
        assert (await client.run(new.orders, "2").wait(PATIENCE)).status == "compensated"
    assert confirmed.model_dump() == LIFTED
    assert [name for name, *_ in old.calls] == ["reserve", "reserve"]
    assert sorted(event.sku for name, event in new.calls[:2] if name == "confirm") == ["lamp", "none"]
    [(_, placed, done)] = [call for call in new.calls if call[0] == "unreserve"]
    assert placed.model_dump() == done.model_dump() == REFUSED
