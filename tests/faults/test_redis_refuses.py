"""A Redis that is there and refuses, or stands still: work waits for it, and no attempt is spent."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
import redis

from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import WorkerProcess
from tests.servers import KEEPS_ALL, RabbitServer, RedisServer, free_port

OPTIONS = KEEPS_ALL | {"enable-protected-configs": "yes", "save": "3600 100000", "busy-reply-threshold": "50"}


@contextmanager
def read_only(client: redis.Redis) -> Generator[None]:
    client.replicaof("127.0.0.1", str(free_port()))
    yield
    client.replicaof("NO", "ONE")


@contextmanager
def without_replicas(client: redis.Redis) -> Generator[None]:
    client.config_set("min-replicas-to-write", 1)
    yield
    client.config_set("min-replicas-to-write", 0)


@contextmanager
def without_disk(client: redis.Redis) -> Generator[None]:
    """A folder that nobody can write into, root neither: the next snapshot fails."""
    folder = str(client.config_get("dir")["dir"])
    client.config_set("dir", "/proc")
    client.bgsave()
    failed_by = time.monotonic() + 10
    while client.info("persistence")["rdb_last_bgsave_status"] != "err":
        assert time.monotonic() < failed_by, "a snapshot into /proc has not failed"
        time.sleep(0.01)
    yield
    client.config_set("dir", folder)
    client.bgsave()


@contextmanager
def without_memory(client: redis.Redis) -> Generator[None]:
    client.config_set("maxmemory", 1)
    yield
    client.config_set("maxmemory", 0)


@contextmanager
def busy(client: redis.Redis) -> Generator[None]:
    """Somebody's script does not end."""

    def spin() -> None:
        with suppress(redis.ResponseError):  # it is killed
            client.eval("while true do end", 0)

    spinning = threading.Thread(target=spin)
    spinning.start()
    yield
    redis.Redis(port=client.connection_pool.connection_kwargs["port"]).script_kill()
    spinning.join()


@contextmanager
def paused(client: redis.Redis) -> Generator[None]:
    client.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    yield
    client.execute_command("CLIENT", "UNPAUSE")


Refusal = Callable[[redis.Redis], AbstractContextManager[None]]

REFUSALS: dict[str, Refusal] = {
    "is a read-only replica": read_only,
    "has too few replicas": without_replicas,
    "cannot write to its disk": without_disk,
    "its memory is full": without_memory,
    "is kept busy by a script": busy,
    "did not answer in time": paused,
}


@pytest.mark.fault("R4", "R6")
async def test_whatever_redis_says_work_waits_and_goes_on_by_itself(
    rabbit: RabbitServer, tmp_path: Path
) -> None:
    """Each refusal meets a handler at work, which ends in it, and lasts about as long as its lease."""
    with RedisServer(options=OPTIONS) as server:
        client = redis.Redis.from_url(server.url)
        async with set_up(rabbit.url, server.url, tmp_path, state_timeout="1") as stage:
            await stage.prepare()
            async with stage.process() as process:
                for number, (says, refusal) in enumerate(REFUSALS.items()):
                    await refused(stage, process, f"k{number}", says, refusal, client)
                await stage.nothing_waits()
        client.close()


async def refused(
    stage: Stage,
    process: WorkerProcess,
    key: str,
    says: str,
    refusal: Refusal,
    client: redis.Redis,
) -> None:
    seen = len(process.lines)
    await stage.begin_run(key, first="sleep:1")

    async def begun() -> bool:
        return bool(stage.ledger.starts("line.first", key))

    await eventually("the handler runs", begun)
    while_refused = refusal(client)
    await asyncio.to_thread(while_refused.__enter__)
    try:
        await process.says(says, after=seen)
        await asyncio.sleep(1)  # the outage itself: the handler ends in it, and its lease may
        assert stage.ledger.starts("line.second", key) == [], "nothing was committed"
    finally:
        await asyncio.to_thread(while_refused.__exit__, None, None, None)
    assert (await stage.ending(key)).status == "completed", says
    await process.says("state: answers again", after=seen)
    for worker in ("line.first", "line.second", "line.third"):
        outcomes = await stage.outcomes(key, worker)
        assert outcomes.count("committed") == 1, (says, worker, outcomes)
        assert set(outcomes) <= {"committed", "released", "lost"}, (says, worker, outcomes)
    rows = (await stage.record(key)).steps.values()
    assert {row.work.failures for row in rows} == {0}, f"an attempt was spent: {says}"
