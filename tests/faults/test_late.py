"""Those who come too late, and what is left when everything is over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.testing.conformance.store_stage import SOON
from pavane.testing.conformance.store_stage import Stage as StoreStage
from tests.crash.stage import Stage, eventually, set_up
from tests.faults.claims import forget_claims
from tests.servers import RabbitServer, RedisServer

RETENTION = 300
"""Milliseconds, long enough for a hundred runs to be over before the first of them is forgotten."""


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path) as stage:
        await stage.prepare()
        yield stage


@pytest.mark.fault("C3")
async def test_a_frozen_worker_cannot_commit_into_a_run_that_was_undone_meanwhile(
    stage: Stage, redis_server: RedisServer
) -> None:
    await stage.begin_run("k", second="finish:2")
    async with stage.process("line.first", "line.second", heartbeat="1") as frozen:

        async def at_work() -> bool:
            return bool(stage.ledger.starts("line.second"))

        await eventually("the second step is being worked on", at_work)
        frozen.send(signal.SIGSTOP)
        await stage.client.run("chain:k").cancel("the test cancels it")
        async with stage.process() as other:
            forget_claims(stage, redis_server)
            assert (await stage.ending("k")).status == "cancelled"
            undone = await stage.row("k", "line.second")
            frozen.send(signal.SIGCONT)
            await frozen.says("nothing was committed")
            await stage.nothing_waits()
            await other.stop()
        row = await stage.row("k", "line.second")
        assert row is not None
        assert undone is not None
        assert (row.state, row.emitted, row.result) == (undone.state, undone.emitted, undone.result)
        assert (row.state, row.emitted) == ("undone", [])
        assert len(stage.ledger.ends("line.second")) == 1, "its handler did get to its end"
        assert [entry.worker for entry in stage.ledger.ends() if entry.worker.startswith("undo")] == [
            "undo:line.second",
            "undo:line.first",
        ]
        assert stage.ledger.starts("line.third") == []


@pytest.mark.fault("R10")
async def test_what_a_hundred_runs_owned_is_gone_with_them(redis_server: RedisServer, namespace: str) -> None:
    store = RedisStore(redis_server.url, namespace=namespace, shards=1, timeout=5)
    await store.open()
    client = redis.Redis.from_url(redis_server.url)
    try:
        await store.initialise()
        before = set(client.scan_iter(f"{namespace}:*"))
        for number in range(100):
            stage = await StoreStage.built(store, f"r{number}", retention=RETENTION)
            await stage.mark(stage.first.id)
            await stage.done("s.w", "done", lease=SOON)
        during = set(client.scan_iter(f"{namespace}:*"))
        assert len(during) > len(before) + 100
        await asyncio.sleep(RETENTION / 1000)  # it passes

        async def forgotten() -> bool:
            await stage.tick()
            return set(client.scan_iter(f"{namespace}:*")) == before

        await eventually("every key that was not there before is gone", forgotten)
    finally:
        await store.close()
