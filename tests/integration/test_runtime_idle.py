"""What twenty workers cost while there is nothing to do: heartbeats, a few looks at Redis, hardly any time."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from redis import Redis

from tests.crash.idle import WORKERS, app
from tests.crash.stage import set_up
from tests.integration.amqp_counter import AmqpCounter
from tests.servers import RabbitServer, RedisServer

SECONDS = float(os.environ.get("PAVANE_TEST_IDLE_SECONDS", "14.5"))
"""A shard is looked at every 5 s and claimed every 15 s, so a window a little shorter sees no more than its share."""

HEARTBEAT = 5


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def commands(redis: Redis) -> int:
    """Commands that clients have sent, and those that scripts ran for them."""
    return sum(stat["calls"] for stat in redis.info("commandstats").values())


async def at_rest(counter: AmqpCounter) -> None:
    """Right after the start marks and answers may still be on their way: wait for half a second without any."""
    async with asyncio.timeout(30):
        while True:
            counter.forget()
            await asyncio.sleep(0.5)
            if set(counter.frames) <= {"heartbeat"}:
                return


@pytest.mark.timeout(180)
async def test_idle_workers_send_heartbeats_and_little_else(rabbit: RabbitServer, tmp_path: Path) -> None:
    private = RedisServer()
    await asyncio.to_thread(private.start)
    try:
        async with (
            AmqpCounter(rabbit.url).listening() as counter,
            set_up(
                rabbit.url, private.url, tmp_path, program=app, shards="16", heartbeat=str(HEARTBEAT)
            ) as stage,
            stage.process(module="tests.crash.idle", broker_url=counter.url) as process,
        ):
            assert counter.frames["method"] > WORKERS, "its connections go through the counter"
            with Redis.from_url(private.url) as redis:
                await at_rest(counter)
                counter.forget()
                before, cpu_before = commands(redis), cpu_seconds(process.pid)
                await asyncio.sleep(SECONDS)  # what is measured is what happens when nothing does
                asked = (commands(redis) - before) / SECONDS
                cpu = cpu_seconds(process.pid) - cpu_before
                frames = dict(counter.frames)
            print(f"{SECONDS:g} s: {frames}, {asked:.1f} Redis commands a second, {cpu:.2f} s of CPU")
            assert set(frames) == {"heartbeat"}
            assert asked < 20
            await process.stop()
    finally:
        await asyncio.to_thread(private.close)
