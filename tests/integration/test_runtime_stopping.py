"""SIGTERM, whatever the process is doing: it exits within its grace period and two seconds, and nothing is lost."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pavane.core.identity import loose_key
from tests.crash.program import Crunched
from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import WorkerProcess
from tests.servers import RabbitServer, RedisServer

MORE = 4.0
"""Seconds beyond the grace period in which a process has ended: two are promised, and a busy machine takes its time."""


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path) as stage:
        await stage.prepare()
        yield stage


@asynccontextmanager
async def private_servers() -> AsyncIterator[tuple[RabbitServer, RedisServer]]:
    """Servers that a test may stop."""
    rabbit, redis = RabbitServer(), RedisServer()
    try:
        await asyncio.gather(asyncio.to_thread(rabbit.start), asyncio.to_thread(redis.start))
        yield rabbit, redis
    finally:
        await asyncio.to_thread(rabbit.close)
        await asyncio.to_thread(redis.close)


async def busy(stage: Stage, worker: str = "line.first") -> None:
    async def started() -> bool:
        return len(stage.ledger.starts(worker)) > 0

    await eventually(f"{worker} is busy", started)


async def goes_on_elsewhere(stage: Stage, key: str = "k") -> None:
    """Another process brings the run to its end, and no queue keeps anything."""
    async with stage.process():
        assert (await stage.ending(key)).status == "completed"
        await stage.nothing_waits()


async def failures(stage: Stage, key: str = "k") -> int:
    return sum(row.work.failures for row in (await stage.record(key)).steps.values())


@pytest.mark.fault("W8")
async def test_an_idle_process_stops_at_once(stage: Stage) -> None:
    async with stage.process(grace_period="20") as process:
        assert await process.stop() < MORE


@pytest.mark.fault("W8")
async def test_a_busy_process_ends_its_job_first(stage: Stage) -> None:
    async with stage.process("line.first", grace_period="10") as process:
        await stage.begin_run("k", first="sleep:2")
        await busy(stage)
        assert await process.stop() < 10 + MORE
    assert await stage.outcomes("k", "line.first") == ["committed"]
    assert await stage.ready_in(stage.queue("line.second")) == 1, "its event was published before the exit"
    await goes_on_elsewhere(stage)
    assert len(stage.ledger.starts("line.first")) == 1


@pytest.mark.fault("W8", "L2")
async def test_what_had_not_begun_goes_back(stage: Stage) -> None:
    keys = [f"k{n}" for n in range(8)]
    async with stage.process(grace_period="10", prefetch="2") as process:
        for key in keys:
            await stage.begin_run(key, first="sleep:1")
        await busy(stage)
        assert await process.stop() < 10 + MORE
    begun = len(stage.ledger.starts("line.first"))
    assert begun < len(keys)
    async with stage.process():
        for key in keys:
            assert (await stage.ending(key)).status == "completed"
        await stage.nothing_waits()
    assert len(stage.ledger.starts("line.first")) == len(keys), "each ran once"
    assert [await failures(stage, key) for key in keys] == [0] * len(keys)


@pytest.mark.fault("W8")
async def test_a_handler_longer_than_the_grace_period_is_cut_short_and_no_attempt_is_spent(
    stage: Stage,
) -> None:
    async with stage.process(grace_period="1") as process:
        await stage.begin_run("k", first="sleep:25")
        await busy(stage)
        assert await process.stop() < 1 + MORE
    row = await stage.row("k", "line.first")
    assert row is not None
    assert (row.work.token, row.work.grants, row.work.failures) == (0, 0, 0), "the attempt was given back"
    assert await stage.outcomes("k", "line.first") == ["released"]
    async with stage.process() as other:
        await busy_again(stage, other)
        assert [entry.attempt for entry in stage.ledger.starts("line.first")] == [1, 1]


async def test_a_plain_function_longer_than_the_grace_period_does_not_keep_the_process(stage: Stage) -> None:
    async with stage.process(grace_period="1") as process:
        event = await stage.client.emit(Crunched(key="c", ask={"crunch": "25"}))
        await busy(stage, "loose.crunch")
        assert await process.stop() < 1 + MORE
    record = await stage.store.read(loose_key(event))
    assert record is not None
    [row] = record.steps.values()
    assert [attempt.outcome for attempt in row.work.attempts] == ["released"]
    assert stage.ledger.ends("loose.crunch") == []


@pytest.mark.fault("W8", "W10")
async def test_a_handler_that_ignores_its_cancellation_does_not_keep_the_process(stage: Stage) -> None:
    async with stage.process(grace_period="1") as process:
        await stage.begin_run("k", first="stubborn:25")
        await busy(stage)
        assert await process.stop() < 1 + MORE
        assert "ignore their cancellation: the process ends without them" in process.log
    assert await failures(stage) == 0
    await goes_on_elsewhere(stage)
    assert await stage.outcomes("k", "line.first") == ["lost", "committed"], "its lease had to run out"


async def busy_again(stage: Stage, process: WorkerProcess) -> None:
    async def begun() -> bool:
        return any(entry.pid == process.pid for entry in stage.ledger.starts("line.first"))

    await eventually("the other process has begun the job, which no lease holds", begun)


@pytest.mark.fault("W8")
async def test_the_second_signal_ends_the_process_at_once(stage: Stage) -> None:
    async with stage.process(grace_period="60") as process:
        await stage.begin_run("k", first="finish:25")
        await busy(stage)
        process.send(signal.SIGTERM)
        await process.says("running jobs have")
        assert process.returncode is None
        started = time.monotonic()
        process.send(signal.SIGTERM)
        assert await process.ended() == 128 + signal.SIGTERM
        assert time.monotonic() - started < 1
    assert await failures(stage) == 0


@pytest.mark.fault("W8")
async def test_a_process_stops_while_it_reconnects(tmp_path: Path) -> None:
    async with private_servers() as (rabbit, redis), set_up(rabbit.url, redis.url, tmp_path) as stage:
        await stage.prepare()
        await asyncio.to_thread(rabbit.settle, *stage.queues())
        async with stage.process(grace_period="3") as idle, stage.process(grace_period="3") as other:
            await stage.begin_run("k", first="sleep:2")
            await busy(stage)
            await asyncio.gather(asyncio.to_thread(rabbit.kill), asyncio.to_thread(redis.kill))
            for process in (idle, other):
                await process.says("connection to RabbitMQ", 20)
            for process in (idle, other):  # one of them holds a job whose commit nobody takes
                assert await process.stop() < 3 + MORE
        await asyncio.gather(asyncio.to_thread(rabbit.start), asyncio.to_thread(redis.start))
        await goes_on_elsewhere(stage)
        assert await failures(stage) == 0


async def test_a_process_stops_while_neither_server_answers(tmp_path: Path) -> None:
    async with private_servers() as (rabbit, redis), set_up(rabbit.url, redis.url, tmp_path) as stage:
        await stage.prepare()
        async with stage.process(grace_period="2") as idle, stage.process(grace_period="2") as other:
            await stage.begin_run("k", first="sleep:1")
            await busy(stage)
            rabbit.freeze()
            redis.freeze()
            try:
                stops = [asyncio.create_task(process.stop()) for process in (idle, other)]
                taken = await asyncio.gather(*stops)
            finally:
                rabbit.thaw()
                redis.thaw()
            print("seconds", taken)
            assert max(taken) < 2 + MORE
        await goes_on_elsewhere(stage)
        assert await failures(stage) == 0


async def test_a_process_without_servers_says_so_and_exits(tmp_path: Path) -> None:
    async with private_servers() as (rabbit, redis), set_up(rabbit.url, redis.url, tmp_path) as stage:
        for server, error in ((redis, "StateUnavailable"), (rabbit, "BrokerUnavailable")):
            await asyncio.to_thread(server.stop)
            process = await stage.process().launch()
            try:
                assert await process.ended(20) != 0
                assert error in process.log
                assert "guest:guest" not in process.log
            finally:
                await process.close()
            await asyncio.to_thread(server.start)


@pytest.mark.parametrize("silent", ["broker_url", "state_url"])
async def test_a_process_stops_while_it_waits_for_a_server_to_answer(stage: Stage, silent: str) -> None:
    waiting = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.set()
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        scheme = "amqp" if silent == "broker_url" else "redis"
        process = await stage.process(grace_period="1", **{silent: f"{scheme}://127.0.0.1:{port}/"}).launch()
        try:
            await asyncio.wait_for(waiting.wait(), 20)
            started = time.monotonic()
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
            assert time.monotonic() - started < 1 + MORE
        finally:
            await process.close()
