"""A stream of runs goes on while RabbitMQ and Redis are restarted, killed and robbed of channels, queues, scripts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiormq
import pytest

from pavane.adapters.rabbitmq.subscription import RabbitMQSubscription
from pavane.errors import InfrastructureError, StateLost
from pavane.runtime.clock import SystemClock
from pavane.runtime.process import Process
from tests.crash.program import LEASE, app
from tests.crash.stage import Stage, eventually, set_up
from tests.servers import KEEPS_ALL, RabbitServer, RedisServer

PLANS: tuple[dict[str, str], ...] = ({}, {"third": "break"}, {"second": "sleep:0.2"}, {"first": "sleep:0.1"})
"""What the runs of a stream do, in turn: most complete, every fourth is undone."""


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[tuple[Stage, RabbitServer, RedisServer]]:
    """Servers that a test may kill, with a namespace whose queues would survive that."""
    rabbit, redis = RabbitServer(), RedisServer(options=KEEPS_ALL)
    try:
        await asyncio.gather(asyncio.to_thread(rabbit.start), asyncio.to_thread(redis.start))
        async with set_up(rabbit.url, redis.url, folder) as stage:
            await stage.prepare()
            await asyncio.to_thread(rabbit.settle, *stage.queues())
            yield stage, rabbit, redis
    finally:
        await asyncio.to_thread(rabbit.close)
        await asyncio.to_thread(redis.close)


class Stream:
    """Starts a run every 30 ms, until it is told to stop. A start that failed is repeated under its run id."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stopped = False
        self._refusal: InfrastructureError | None = None
        self._task = asyncio.create_task(self._flow())
        self.keys: list[str] = []

    async def has(self, count: int) -> None:
        async def enough() -> bool:
            if self._task.done():
                await self._task
            return len(self.keys) >= count

        try:
            await eventually(f"{count} runs are started", enough, 60)
        except AssertionError as error:
            self._task.print_stack()
            raise AssertionError(
                f"{error}; {len(self.keys)} are; the last refusal: {self._refusal}"
            ) from None

    async def stop(self) -> list[str]:
        self._stopped = True
        await asyncio.wait_for(self._task, 30)
        return self.keys

    async def _flow(self) -> None:
        while not self._stopped:
            number = len(self.keys)
            try:
                await self._stage.begin_run(f"r{number}", **PLANS[number % len(PLANS)])
            except InfrastructureError as refusal:
                self._refusal = refusal
                await asyncio.sleep(0.2)  # the server is away: a client's own patience
                continue
            self.keys.append(f"r{number}")
            await asyncio.sleep(0.03)


async def under_a_stream(stage: Stage, fault: Callable[[], Awaitable[object]]) -> None:
    """Let runs flow, let it happen, let more flow; then every run must be over and every effect single."""
    stream = Stream(stage)
    await stream.has(40)
    await fault()
    so_far = len(stream.keys)
    await stream.has(so_far + 40)
    keys = await stream.stop()
    for number, key in enumerate(keys):
        expected = "compensated" if PLANS[number % len(PLANS)] == {"third": "break"} else "completed"
        assert (await stage.ending(key, 60)).status == expected
    await all_told(stage, keys)
    await stage.nothing_waits()
    await judge(stage, keys)


async def all_told(stage: Stage, keys: list[str]) -> None:
    async def closing_steps_ended() -> bool:
        return len({entry.run for entry in stage.ledger.ends("line.told")}) == len(keys)

    await eventually("the closing step of every run", closing_steps_ended)


async def judge(stage: Stage, keys: list[str]) -> None:
    """One row per worker and run, committed once, no attempt burned, no letter."""
    lost: Counter[str] = Counter()
    for key in keys:
        record = await stage.record(key)
        workers = [row.worker for row in record.steps.values()]
        assert sorted(workers) == ["line.first", "line.second", "line.third", "line.told"], key
        for row in record.steps.values():
            for work in (row.work, row.undo):
                if work is None:
                    continue
                outcomes = Counter(attempt.outcome for attempt in work.attempts)
                assert outcomes["committed"] == 1, (key, row)
                assert set(outcomes) <= {"committed", "lost", "fenced", "released"}, (key, row)
                assert work.failures == 0, "an outage has burned an attempt"
                lost += outcomes
    assert await stage.client.dead_letters.list().count() == 0
    repeated = Counter((entry.worker, entry.run) for entry in stage.ledger.ends())
    print(
        f"{len(keys)} runs; attempts {dict(lost)}; handlers that ran twice: {sum(repeated.values()) - len(repeated)}"
    )


OUTAGE = {"rabbitmq": "connection to RabbitMQ at", "redis": "state: "}
RETURN = {"rabbitmq": "has its consumer again", "redis": "state: answers again"}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("which", ["rabbitmq", "redis"])
@pytest.mark.fault("B1", "R1")
async def test_a_server_goes_and_comes_back(which: str, how: str, tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, rabbit, redis), stage.process() as one, stage.process() as two:
        server = rabbit if which == "rabbitmq" else redis

        async def goes_and_comes() -> None:
            await asyncio.to_thread(server.stop if how == "stop" else server.kill)
            for process in (one, two):
                await process.says(OUTAGE[which], 30)
            await asyncio.to_thread(server.start)
            for process in (one, two):
                await process.says(RETURN[which], 60)

        await under_a_stream(stage, goes_and_comes)
        await one.stop()
        await two.stop()


@pytest.mark.timeout(180)
@pytest.mark.fault("B1", "R1")
async def test_both_servers_are_killed_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, rabbit, redis), stage.process(), stage.process():

        async def both() -> None:
            await asyncio.gather(
                asyncio.to_thread(rabbit.restart, kill=True), asyncio.to_thread(redis.restart, kill=True)
            )

        await under_a_stream(stage, both)


@pytest.mark.timeout(180)
@pytest.mark.fault("R9")
async def test_scripts_are_forgotten(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, _, redis), stage.process():
        await under_a_stream(stage, lambda: command(redis, b"FUNCTION FLUSH"))


async def command(redis: RedisServer, text: bytes) -> bytes:
    """One command to Redis, by hand; its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    try:
        writer.write(text + b"\r\n")
        return (await asyncio.wait_for(reader.readline(), 10)).strip()
    finally:
        writer.close()


@pytest.mark.timeout(180)
@pytest.mark.fault("B7")
async def test_a_queue_is_deleted_under_its_consumer(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, rabbit, _), stage.process() as process:
        # What is in the queue goes with it: it is deleted when nothing is, which an idle moment guarantees.
        await stage.begin_run("before")
        await stage.ending("before")
        seen = len(process.lines)
        async with aiormq.connect(rabbit.url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(stage.queue("line.second"))
        await process.says(f"{stage.queue('line.second')} has its consumer again", 30, after=seen)
        await stage.begin_run("after")
        assert (await stage.ending("after")).status == "completed"
        await all_told(stage, ["before", "after"])
        await judge(stage, ["before", "after"])


@pytest.mark.timeout(180)
@pytest.mark.fault("B6")
async def test_a_channel_error_while_jobs_run_costs_no_job(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, _, _redis), here(stage) as process:

        async def break_channels() -> None:
            for consumer in process.consumers:
                await break_channel(consumer._subscription)

        await under_a_stream(stage, break_channels)


@asynccontextmanager
async def here(stage: Stage) -> AsyncIterator[Process]:
    """The workers in this very process, where their channels can be reached."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAVANE_TEST_LEDGER", str(stage.ledger.path))
        process = app.process(stage.store, stage.broker, stage.settings, SystemClock())
        try:
            await process.start()
            yield process
        finally:
            await process.stop(5)


async def break_channel(subscription: object) -> None:
    """Make the server close the channel, as it does for any command that it refuses."""
    assert isinstance(subscription, RabbitMQSubscription)
    consumer = subscription._consumer
    assert consumer is not None
    with suppress(aiormq.exceptions.ChannelNotFoundEntity):
        await consumer._channel.queue_declare("no_such_queue", passive=True)


@pytest.mark.timeout(180)
@pytest.mark.fault("R3")
async def test_a_redis_that_forgot_everything_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, _, redis), stage.process() as process:
        await stage.begin_run("before")
        await stage.ending("before")
        seen = len(process.lines)
        assert await command(redis, b"FLUSHALL") == b"+OK"
        with pytest.raises(StateLost):
            await stage.begin_run("after")
        assert "apply --new-epoch" in await process.says("what was acknowledged may be gone", 20, after=seen)
        newcomer = await stage.process().launch()
        try:
            assert await newcomer.ended() != 0
            assert "StateLost" in newcomer.log
        finally:
            await newcomer.close()
        assert stage.ledger.starts(run="after") == []
        await process.stop()


@pytest.mark.timeout(180)
@pytest.mark.fault("B1", "R1", "R3")
async def test_a_process_is_not_ready_while_it_cannot_work_and_says_why(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, rabbit, redis), here(stage) as process:

        async def unready(because: str) -> None:
            async def so() -> bool:
                return not process.ready and because in process.unready_because

            await eventually(f"not ready because {because!r} ({process.unready_because!r})", so)

        async def ready() -> bool:
            return process.ready

        await eventually("ready", ready)
        assert process.unready_because == ""
        await asyncio.to_thread(redis.stop)
        await unready("Redis cannot be reached: connection refused [127.0.0.1:")
        await asyncio.to_thread(redis.start)
        await eventually("ready again", ready)
        await asyncio.to_thread(rabbit.stop)
        await unready("consumers do not exist on the broker")
        await asyncio.to_thread(rabbit.start)
        await eventually("ready again", ready)
        assert await command(redis, b"FLUSHALL") == b"+OK"
        await unready("what was acknowledged may be gone")
        await stage.store.initialise()  # accepted: but this process knew what was lost
        await unready("Redis holds another state than before")


@pytest.mark.timeout(180)
@pytest.mark.fault("W13", "R1")
async def test_a_result_is_kept_and_a_lease_is_not_while_redis_does_not_answer(tmp_path: Path) -> None:
    """A handler that ended waits with its commit; one that still runs is cancelled when its lease is over."""
    async with scene(tmp_path) as (stage, _, redis), stage.process():
        await stage.begin_run("ends", first="sleep:1")
        await stage.begin_run("lasts", first="sleep:8")

        async def both_run() -> bool:
            return len(stage.ledger.starts("line.first")) == 2

        await eventually("both handlers run", both_run)
        redis.freeze()
        try:

            async def ended() -> int:
                return len(stage.ledger.ends("line.first", "ends"))

            await eventually("the short one ends", ended)
            await asyncio.sleep(2 * LEASE)  # the outage itself: longer than a lease
        finally:
            redis.thaw()
        assert (await stage.ending("ends")).status == "completed"
        assert await stage.outcomes("ends", "line.first") == ["committed"]
        assert len(stage.ledger.starts("line.first", "ends")) == 1
        assert (await stage.ending("lasts")).status == "completed"
        assert await stage.outcomes("lasts", "line.first") == ["released", "committed"]
        assert [entry.attempt for entry in stage.ledger.starts("line.first", "lasts")] == [1, 1]
        assert len(stage.ledger.ends("line.first", "lasts")) == 1, "the first was cancelled"
        await judge_failures(stage, ["ends", "lasts"])


async def judge_failures(stage: Stage, keys: list[str]) -> None:
    for key in keys:
        failures = [row.work.failures for row in (await stage.record(key)).steps.values()]
        assert set(failures) == {0}, "an outage has burned an attempt"


@pytest.mark.timeout(180)
@pytest.mark.fault("B7", "B8")
async def test_an_event_whose_binding_is_gone_is_kept_and_its_run_is_listed(tmp_path: Path) -> None:
    async with scene(tmp_path) as (stage, rabbit, _), stage.process():
        third, exchange = stage.queue("line.third"), stage.names.event("crash.second_done")
        async with aiormq.connect(rabbit.url) as connection:
            channel = await connection.channel()
            await channel.queue_unbind(third, exchange, routing_key="")
        await stage.begin_run("k")

        async def listed() -> list[str]:
            return (await stage.client.run("chain:k").status()).stalled

        await eventually("the run says what it waits for", listed)
        assert await listed() == ["unroutable:crash.second_done"]
        await stage.prepare()  # what an operator does: pavane topology apply
        assert (await stage.ending("k")).status == "completed"
        assert len(stage.ledger.starts("line.third")) == 1
        assert await listed() == []
