"""Redis behind sentinels, and in a cluster, while its masters die and its slots move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis.crc import key_slot

from pavane import Client, Context, Event, Service, Settings, Workflow
from pavane.app import App
from pavane.cli.server_checks import state_checks
from tests.servers import RabbitServer
from tests.servers.redis_groups import RedisCluster, WatchedRedis, command


class Asked(Event, name="groups.asked"):
    number: int


class Halfway(Event, name="groups.halfway"):
    number: int


class Answered(Event, name="groups.answered"):
    number: int


questions = Workflow(
    "questions", starts_with=Asked, run_id=lambda asked: str(asked.number), completes_with=[Answered]
)
desk = Service("desk")


@desk.queue_worker("think")
async def think(ctx: Context, asked: Asked) -> Halfway:
    return Halfway(number=asked.number)


@desk.queue_worker("answer")
async def answer(ctx: Context, halfway: Halfway) -> Answered:
    return Answered(number=halfway.number)


app = App(services=[desk], workflows=[questions])


@pytest.fixture
def watched() -> Iterator[WatchedRedis]:
    servers = WatchedRedis()
    yield servers.start()
    servers.close()


@pytest.fixture
def cluster() -> Iterator[RedisCluster]:
    servers = RedisCluster(replicas=1)
    yield servers.start()
    servers.close()


@asynccontextmanager
async def running(rabbit: RabbitServer, url: str, namespace: str) -> AsyncIterator[Client]:
    settings = Settings(
        broker_url=rabbit.url, state_url=url, namespace=namespace, state_timeout=2, grace_period=2
    )
    async with app.running(settings) as client:
        yield client


async def ask(client: Client, numbers: range) -> None:
    """Start runs, and see each of them end; what is not answered is asked again."""
    for number in numbers:
        async with asyncio.timeout(60):
            run = client.run(questions, str(number))
            while True:
                try:
                    run = await client.start(questions, Asked(number=number))
                    status = (await run.wait()).status
                except Exception as error:
                    if getattr(error, "code", "") != "state_unavailable":
                        raise
                    await asyncio.sleep(0.1)  # between two questions, not for luck
                else:
                    assert status == "completed"
                    break


async def judged(url: str) -> dict[str, str]:
    """What `pavane doctor` says of the servers themselves."""
    return {one.name: one.status for one in await state_checks(Settings(state_url=url))}


@pytest.mark.fault("R8")
async def test_work_goes_on_when_the_sentinels_name_another_master(
    rabbit: RabbitServer, watched: WatchedRedis, namespace: str
) -> None:
    async with running(rabbit, watched.url, namespace) as client:
        await ask(client, range(5))
        assert await judged(watched.url) == {"state_version": "ok", "persistence": "ok", "eviction": "ok"}
        await asyncio.to_thread(watched.master.kill)
        await ask(client, range(5, 10))
        assert watched.named_master() == watched.replicas[0].port


@pytest.mark.fault("R8")
async def test_work_goes_on_when_a_master_of_the_cluster_dies(
    rabbit: RabbitServer, cluster: RedisCluster, namespace: str
) -> None:
    async with running(rabbit, cluster.url, namespace) as client:
        await ask(client, range(5))
        command(cluster.masters[1], "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert await judged(cluster.url) == {"state_version": "ok", "persistence": "ok", "eviction": "error"}
        command(cluster.masters[1], "CONFIG", "SET", "maxmemory-policy", "noeviction")
        await asyncio.to_thread(cluster.masters[0].kill)
        await ask(client, range(5, 20))


@pytest.mark.fault("R8")
async def test_slots_that_move_are_followed(
    rabbit: RabbitServer, cluster: RedisCluster, namespace: str
) -> None:
    """Every shard of the namespace is moved to the next node between two runs."""
    async with running(rabbit, cluster.url, namespace) as client:
        await ask(client, range(5))
        for shard in range(16):
            slot = key_slot(f"{namespace}:{{s{shard:02d}}}:due".encode())
            owner = next(n for n in range(3) if slot < 16_384 * (n + 1) // 3)
            source, target = cluster.masters[owner], cluster.masters[(owner + 1) % 3]
            await asyncio.to_thread(cluster.move_slot, slot, source, target)
        await ask(client, range(5, 20))
