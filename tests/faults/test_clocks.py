"""Clocks that are wrong: those of workers are not asked, and Redis's moves leases and timers with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.adapters.redis.scripting import load_library
from pavane.core.answers import Committed, Fenced, Granted, Leased
from pavane.core.calls import TimerSet
from pavane.testing.conformance.store_stage import Stage as StoreStage
from pavane.testing.conformance.store_stage import event
from tests.crash.program import LEASE
from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import WorkerProcess
from tests.servers import RabbitServer, RedisServer

HOUR = 3600
MINUTE = 60_000


def library() -> str:
    """libfaketime, which tells a program another time; `make setup` installs it."""
    found = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), *Path("/usr/lib/faketime").glob("*.so.1")]
    assert found, "libfaketime is missing: run make setup"
    return str(found[0])


class FakeClock:
    """A program's clock, as far from the true one as the file says."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        self._file.write_text(f"{seconds:+d}")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def worker(stage: Stage, clock: FakeClock) -> WorkerProcess:
    """A process whose clock can be set."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clock.environment.items():
            patch.setenv(name, value)
        return stage.process()


@pytest.mark.fault("T1")
async def test_the_clocks_of_workers_are_not_asked(
    rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    """One is an hour ahead, one an hour behind, one is set by an hour and back while handlers run."""
    clocks = [FakeClock(tmp_path / name) for name in ("ahead", "behind", "set")]
    clocks[0].set(HOUR)
    clocks[1].set(-HOUR)
    async with set_up(rabbit.url, redis_server.url, tmp_path, prefetch="2") as stage:
        await stage.prepare()
        keys = [f"k{number}" for number in range(6)]
        async with worker(stage, clocks[0]), worker(stage, clocks[1]), worker(stage, clocks[2]):
            for key in keys:
                await stage.begin_run(key, first=f"sleep:{1.5 * LEASE}", second="fail:1")

            async def all_at_work() -> bool:
                return len(stage.ledger.starts("line.first")) == len(keys)

            await eventually("every first step is being worked on", all_at_work)
            for seconds in (HOUR, -HOUR, 0):
                clocks[2].set(seconds)
                await asyncio.sleep(LEASE / 4)  # long enough for renewals by that clock
            for key in keys:
                assert (await stage.ending(key)).status == "completed"
                assert await stage.outcomes(key, "line.first") == ["committed"]
                assert await stage.outcomes(key, "line.second") == ["failed", "committed"]
            await stage.nothing_waits()
        assert len({entry.pid for entry in stage.ledger.starts("line.first")}) == 3, "each had its share"
        for key in keys:
            first, second = stage.ledger.starts("line.second", key)
            assert 0.25 <= second.at - first.at < 5, "the retry came at its time"


MOVED = """
local Clock = {}

function Clock.now()
  local time = redis.call('TIME')
  local moved = redis.call('GET', string.match(KEYS[1], '^[^:]*') .. ':moved') or 0
  return time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(moved) * 1000
end
"""
"""The scripts' clock, moved: redis-server itself does not start under libfaketime, because of its allocator."""


class MovedRedis:
    """A store whose clock can be set, and a run in it."""

    def __init__(self, server: RedisServer, namespace: str) -> None:
        library = load_library({"clock": MOVED})
        self.store = RedisStore(server.url, namespace=namespace, shards=1, timeout=5, library=library)
        self._client = redis.Redis.from_url(server.url)
        self._key = f"{namespace}:moved"

    def set(self, seconds: int) -> None:
        self._client.set(self._key, seconds)

    async def fired(self, stage: StoreStage) -> list[str]:
        """Ids of the events that a look at the shard brings."""
        rows = (await stage.tick()).rows
        await stage.mark(*(row.row for row in rows))
        return [row.event.id for row in rows]


@pytest.fixture
async def moved(redis_server: RedisServer, namespace: str) -> AsyncIterator[MovedRedis]:
    moved = MovedRedis(redis_server, namespace)
    await moved.store.open()
    await moved.store.initialise()
    yield moved
    await moved.store.close()


@pytest.mark.fault("T2")
async def test_when_redis_is_an_hour_ahead_a_lease_ends_and_its_holder_is_fenced(moved: MovedRedis) -> None:
    stage = await StoreStage.built(moved.store)
    before = await stage.granted(lease=MINUTE)
    assert isinstance(await stage.begin(begin_id="other"), Leased)
    moved.set(HOUR)
    after = await stage.begin(begin_id="other")
    assert isinstance(after, Granted)
    assert after.token > before.token
    assert isinstance(await stage.commit(stage.job(), before.token, "mid"), Fenced)
    assert isinstance(await stage.commit(stage.job(), after.token, "mid"), Committed)


@pytest.mark.fault("T2")
async def test_when_redis_is_an_hour_behind_a_lease_is_kept_and_can_be_committed_under(
    moved: MovedRedis,
) -> None:
    stage = await StoreStage.built(moved.store)
    grant = await stage.granted(lease=MINUTE)
    moved.set(-HOUR)
    waits = await stage.begin(begin_id="other")
    assert isinstance(waits, Leased)
    assert waits.remaining > HOUR * 1000
    assert isinstance(await stage.commit(stage.job(), grant.token, "mid"), Committed)


@pytest.mark.fault("T2")
async def test_timers_go_by_the_clock_of_redis_early_when_it_jumps_late_when_it_is_set_back(
    moved: MovedRedis,
) -> None:
    stage = await StoreStage.built(moved.store)
    grant = await stage.granted()
    timers = tuple(
        TimerSet(key=key, at=at, event=event(key))
        for key, at in (("half an hour", 30 * MINUTE), ("two hours", 120 * MINUTE))
    )
    relative = tuple(timer.key for timer in timers)
    await stage.commit(stage.job(), grant.token, timers=timers, relative=relative)
    await stage.mark(stage.first.id)
    moved.set(-HOUR)
    assert await moved.fired(stage) == []
    moved.set(HOUR)
    assert await moved.fired(stage) == ["half an hour"]
    moved.set(0)
    assert await moved.fired(stage) == []
    moved.set(3 * HOUR)
    assert await moved.fired(stage) == ["two hours"]
    assert (await stage.read()).timers == {}
