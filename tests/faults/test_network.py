"""A worker whose network fails: it is cut off, or what it hears is late, lost or said twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import WorkerProcess
from tests.faults.claims import forget_claims
from tests.proxy import AmqpProxy, LoopThread, RedisProxy
from tests.servers import RabbitServer, RedisServer

WORKERS = ("line.first", "line.second", "line.third", "line.told")


class Line:
    """What a worker reaches its servers through."""

    def __init__(self, amqp: AmqpProxy, resp: RedisProxy) -> None:
        self.amqp, self.resp = amqp, resp

    def worker(self, stage: Stage, *only: str, **variables: str) -> WorkerProcess:
        return stage.process(*only, broker_url=self.amqp.url, state_url=self.resp.url, **variables)

    def heal(self) -> None:
        self.amqp.heal()
        self.resp.heal()


@pytest.fixture(scope="module")
def thread() -> Iterator[LoopThread]:
    with LoopThread() as thread:
        yield thread


@pytest.fixture
def line(thread: LoopThread, rabbit: RabbitServer, redis_server: RedisServer) -> Iterator[Line]:
    with AmqpProxy(thread, rabbit.url) as amqp, RedisProxy(thread, redis_server.url) as resp:
        yield Line(amqp, resp)


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path, heartbeat="1", state_timeout="1") as stage:
        await stage.prepare()
        yield stage


def from_redis(line: Line) -> None:
    line.resp.stall()


def from_rabbitmq(line: Line) -> None:
    line.amqp.stall()


def from_both(line: Line) -> None:
    line.resp.stall()
    line.amqp.stall()


def from_what_redis_answers(line: Line) -> None:
    """What it has asked for is done, and it never hears of it."""
    line.resp.stall(up=False)


@pytest.mark.fault("N1")
@pytest.mark.parametrize("cut_off", [from_redis, from_rabbitmq, from_both, from_what_redis_answers])
async def test_a_worker_that_is_cut_off_commits_once_or_is_fenced(
    stage: Stage, line: Line, redis_server: RedisServer, cut_off: Callable[[Line], None]
) -> None:
    """It is cut off inside its handler, which ends all the same; another process is there to take over."""
    async with line.worker(stage, "line.first") as cut:
        await stage.begin_run("k", first="finish:2.5")

        async def at_work() -> bool:
            return bool(stage.ledger.starts("line.first"))

        await eventually("the handler runs", at_work)
        await asyncio.to_thread(cut_off, line)
        async with stage.process() as other:
            forget_claims(stage, redis_server)
            if cut_off in (from_redis, from_what_redis_answers):
                # Its connection to RabbitMQ stands, so nobody else gets the message, and it waits with its commit.
                await cut.says("is not renewed")
                await cut.says("state: ")
                assert await stage.ready_in(stage.queue("line.first")) == 0
            else:
                assert (await stage.ending("k")).status == "completed"
            await asyncio.to_thread(line.heal)
            assert (await stage.ending("k")).status == "completed"
            await nothing_is_left(stage)
            await judge(stage, "k")
            await other.stop()


async def nothing_is_left(stage: Stage) -> None:
    async def told() -> bool:
        return bool(stage.ledger.ends("line.told"))

    await eventually("the closing step", told)
    await stage.nothing_waits(30)


async def judge(stage: Stage, key: str) -> None:
    """One commit of each step, no attempt spent, and nobody heard of an event twice."""
    for worker in WORKERS:
        outcomes = await stage.outcomes(key, worker)
        assert outcomes.count("committed") == 1, (worker, outcomes)
        assert set(outcomes) <= {"committed", "fenced", "released", "lost"}, (worker, outcomes)
    rows = (await stage.record(key)).steps.values()
    assert [row.work.failures for row in rows] == [0] * len(WORKERS)
    for worker in WORKERS[1:]:
        assert len({entry.event for entry in stage.ledger.starts(worker, key)}) == 1


@pytest.mark.fault("N2")
async def test_a_slow_and_narrow_line_costs_time_and_nothing_else(stage: Stage, line: Line) -> None:
    """300 ms to and fro and some jitter, a megabit a second, and Redis's answers in pieces of a few bytes."""
    async with line.worker(stage, publish_timeout="5") as process:
        for proxy in (line.amqp, line.resp):
            proxy.faults.latency, proxy.faults.jitter = 0.15, 0.05
            proxy.faults.bytes_per_second = 125_000
        line.resp.faults.piece = 200
        keys = [f"k{number}" for number in range(5)]
        for key in keys:
            await stage.begin_run(key, first="sleep:3")  # longer than its lease: it is renewed over this line
        for key in keys:
            assert (await stage.ending(key)).status == "completed"
            assert await stage.outcomes(key, "line.first") == ["committed"]
            assert len(stage.ledger.starts("line.first", key)) == 1
        await asyncio.to_thread(line.heal)
        for key in keys:
            await judge_when_told(stage, key)
        await process.stop()


async def judge_when_told(stage: Stage, key: str) -> None:
    async def told() -> bool:
        return bool(stage.ledger.ends("line.told", key))

    await eventually("the closing step", told)
    await judge(stage, key)


@pytest.mark.fault("R7", "B9", "B13")
async def test_replies_and_confirms_that_are_lost_and_deliveries_that_repeat_change_nothing(
    stage: Stage, line: Line
) -> None:
    async with line.worker(stage, publish_timeout="1") as process:
        faults = line.resp.faults
        faults.replies_to_lose, faults.lose_replies = 12, frozenset({"*"})
        line.amqp.faults.repeat_deliveries = 1.0
        line.amqp.faults.lose_confirms = True
        keys = [f"k{number}" for number in range(6)]
        for key in keys:
            await stage.begin_run(key)
        await process.says("broker: ")

        async def lost() -> bool:
            return faults.replies_to_lose == 0

        await eventually("replies were lost", lost)
        line.amqp.faults.lose_confirms = False
        for key in keys:
            assert (await stage.ending(key)).status == "completed"
            await judge_when_told(stage, key)
        assert line.amqp.faults.did["delivery repeated"] > len(keys)
        await stage.nothing_waits(30)
        await process.stop()
