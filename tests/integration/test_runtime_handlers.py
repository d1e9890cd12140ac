"""Handlers that take long, freeze, hang, block, die or misbehave, in real processes on real servers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pavane.core.envelope import event_headers
from pavane.core.identity import loose_key
from pavane.core.record import EventRow, StepRow
from pavane.ports.broker import Message, ToSubscribers
from tests.crash.program import LEASE, Pinged
from tests.crash.stage import Stage, eventually, set_up
from tests.servers import RabbitServer, RedisServer


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path) as stage:
        await stage.prepare()
        yield stage


async def started(stage: Stage, worker: str, times: int = 1) -> None:
    async def seen() -> bool:
        return len(stage.ledger.starts(worker)) >= times

    await eventually(f"{worker} started {times} times", seen)


async def ping(stage: Stage, **ask: str) -> str:
    return await stage.client.emit(Pinged(key="p", ask=ask))


async def loose_row(stage: Stage, event: str, worker: str) -> StepRow:
    """The row of a worker in the record of an event outside workflows, once it has ended."""
    found: list[StepRow] = []

    async def over() -> bool:
        record = await stage.store.read(loose_key(event))
        found[:] = [row for row in record.steps.values() if row.worker == worker] if record else []
        return bool(found) and found[0].state in ("committed", "dead")

    await eventually(f"the end of {worker}", over)
    return found[0]


def outcomes(row: StepRow) -> list[str]:
    return [attempt.outcome for attempt in row.work.attempts]


async def test_a_handler_that_runs_three_leases_long_runs_once(stage: Stage) -> None:
    async with stage.process(), stage.process():
        await stage.begin_run("k", first=f"sleep:{3 * LEASE + 0.5}")
        assert (await stage.ending("k")).status == "completed"
        assert len(stage.ledger.starts("line.first")) == 1
        assert await stage.outcomes("k", "line.first") == ["committed"]


@pytest.mark.fault("W6")
async def test_a_frozen_process_is_replaced_and_fenced(stage: Stage) -> None:
    frozen, other = stage.process(heartbeat="1"), stage.process()
    await stage.begin_run("k", first="finish:3")
    async with frozen:
        await started(stage, "line.first")
        frozen.send(signal.SIGSTOP)
        async with other:
            assert (await stage.ending("k")).status == "completed"
            frozen.send(signal.SIGCONT)
            await frozen.says("somebody else has this job, nothing was committed")

            async def reported() -> bool:
                return await stage.outcomes("k", "line.first") == ["fenced", "committed"]

            await eventually("the record names both attempts", reported)
            [step] = await stage.client.run("chain:k").steps(worker="line.first").all()
            assert [attempt.attempt for attempt in step.attempts] == [1, 2]
            hosts = [str(attempt.host).rpartition(":")[2] for attempt in step.attempts]
            assert hosts == [str(frozen.pid), str(other.pid)]
            starts, ends = stage.ledger.starts("line.first"), stage.ledger.ends("line.first")
            assert [entry.pid for entry in starts] == [frozen.pid, other.pid]
            assert {entry.pid for entry in ends} == {frozen.pid, other.pid}, "both ran to their end"
            assert len(stage.ledger.starts("line.second")) == 1
            await stage.nothing_waits()
            await other.stop()
        await stage.begin_run("afterwards")
        assert (await stage.ending("afterwards")).status == "completed"
        await frozen.stop()


@pytest.mark.fault("W6")
async def test_a_pause_shorter_than_lease_and_heartbeat_shows_nothing(stage: Stage) -> None:
    async with stage.process() as paused, stage.process():
        await stage.begin_run("k", first="sleep:2")
        await started(stage, "line.first")
        holder = stage.ledger.starts("line.first")[0].pid
        os.kill(holder, signal.SIGSTOP)
        await asyncio.sleep(LEASE / 4)  # the pause itself is what is tried here
        os.kill(holder, signal.SIGCONT)
        assert (await stage.ending("k")).status == "completed"
        assert await stage.outcomes("k", "line.first") == ["committed"]
        assert paused.returncode is None


async def test_a_handler_that_hangs_is_cancelled_at_its_timeout(stage: Stage) -> None:
    async with stage.process():
        row = await loose_row(stage, await ping(stage, pong="hang"), "loose.pong")
        assert outcomes(row) == ["timed_out"] * 3
        for attempt in row.work.attempts:
            assert attempt.ended_at - attempt.started_at >= 1000
        [letter] = await stage.client.dead_letters.list().all()
        assert (letter.reason, letter.error_type) == ("attempts", "TimeoutError")


@pytest.mark.fault("W10")
async def test_a_handler_that_ignores_its_cancellation_is_left_behind(stage: Stage) -> None:
    async with stage.process():
        event = await ping(stage, pong="stubborn:8")
        row = await loose_row(stage, event, "loose.pong")
        assert outcomes(row) == ["timed_out", "committed"]

        async def stubborn_one_ended() -> bool:
            return len(stage.ledger.ends("loose.pong")) == 2

        await eventually("the end of the handler that was left behind", stubborn_one_ended)
        assert await loose_row(stage, event, "loose.pong") == row, "what it returned came to nothing"
        assert len(stage.ledger.starts("loose.heard")) == 1


@pytest.mark.fault("W9")
async def test_a_handler_that_blocks_the_loop_is_found_by_the_watchdog(stage: Stage) -> None:
    async with stage.process() as process:
        await stage.begin_run("k", first="block:12")
        await started(stage, "line.first")
        await process.says("The event loop has been blocked", within=15)
        await process.says("the event loop answers again", within=15)
        stack = process.log.partition("The event loop has been blocked")[2]
        assert "time.sleep(number)" in stack, "its stack is logged"
        assert (await stage.ending("k")).status == "completed"


@pytest.mark.fault("W12")
async def test_system_exit_and_a_wrong_event_end_an_attempt_and_not_the_process(stage: Stage) -> None:
    async with stage.process() as process:
        await stage.begin_run("quits", first="quit:1")
        await stage.begin_run("wrong", second="wrong:1")
        assert (await stage.ending("quits")).status == "completed"
        assert await stage.outcomes("quits", "line.first") == ["failed", "committed"]

        async def stalled() -> bool:
            return (await stage.client.run("chain:wrong").status()).status == "stalled"

        await eventually("the run is stalled", stalled)
        [letter] = await stage.client.dead_letters.list().all()
        assert (letter.reason, letter.error_type) == ("rejected", "UndeclaredEvent")
        assert await stage.outcomes("wrong", "line.second") == ["rejected"]
        assert process.returncode is None
        assert (await stage.client.dead_letters.redrive(letter.id)).done == 1
        assert (await stage.ending("wrong")).status == "completed"
        await stage.nothing_waits()


@pytest.mark.fault("W12")
async def test_too_large_a_result_is_rejected_and_a_task_left_behind_harms_nobody(stage: Stage) -> None:
    async with stage.process() as process:
        await stage.begin_run("leaks", first="leak", second="leak")
        assert (await stage.ending("leaks")).status == "completed"
        event = await ping(stage, pong="big:1")
        assert outcomes(await loose_row(stage, event, "loose.pong")) == ["rejected"]
        [letter] = await stage.client.dead_letters.list().all()
        assert letter.error_type == "LimitExceeded"
        assert await process.stop() < 5


@pytest.mark.fault("W14")
async def test_a_newer_version_waits_for_the_process_that_knows_it(stage: Stage) -> None:
    """A rolling deployment: old and new consume one queue, and no event of the new kind dies of the old."""
    async with stage.process() as old:
        newer = event_headers(
            EventRow(id="from-tomorrow", name="crash.pinged", version=2, time=0, payload=b"", producer="a.b"),
            "",
        )
        body = Pinged(key="p").model_dump_json().encode()
        await stage.broker.publish(Message(body, newer), ToSubscribers("crash.pinged"))

        async def waits() -> int:
            return await stage.ready_in(*stage.wheel())

        await eventually("the event is on the delay wheel", waits)
        async with stage.process(test_version="2"):
            await old.stop()
            row = await loose_row(stage, "from-tomorrow", "loose.pong")
            assert outcomes(row) == ["committed"]
            assert [entry.attempt for entry in stage.ledger.starts("loose.pong")] == [1]
            await stage.nothing_waits()


async def test_a_policy_function_answers_for_a_job_that_died(stage: Stage) -> None:
    async with stage.process():
        await stage.begin_run("k", third="fail:3")
        status = await stage.ending("k")
        assert (status.status, status.reason) == ("compensated", "crash.broken")
        [letter] = await stage.client.dead_letters.list().all()
        assert letter.answered
        undone = [entry.worker for entry in stage.ledger.ends() if entry.worker.startswith("undo:")]
        assert undone == ["undo:line.second", "undo:line.first"]
        assert len(stage.ledger.starts("line.told")) == 1


@pytest.mark.timeout(180)
@pytest.mark.fault("W11")
async def test_a_job_that_kills_its_process_ends_alone_and_its_neighbours_live(stage: Stage) -> None:
    neighbours = [f"neighbour{n}" for n in range(5)]
    await stage.begin_run("poison", first="exit:3")
    for key in neighbours:
        await stage.begin_run(key, first="sleep:1")
    await three_deaths(stage)
    async with stage.process() as process:
        for key in neighbours:
            assert (await stage.ending(key)).status == "completed"

        async def listed() -> int:
            return await stage.client.dead_letters.list().count()

        await eventually("its letter", listed)
        [letter] = await stage.client.dead_letters.list().all()
        assert (letter.run, letter.reason) == ("chain:poison", "crash_loop")
        assert await stage.outcomes("poison", "line.first") == ["lost"] * 3
        third = stage.ledger.starts("line.first", "poison")[2]
        beside = [entry for entry in stage.ledger.entries() if entry.pid == third.pid and entry.at < third.at]
        open_ = {entry.run for entry in beside if entry.what == "start"}
        assert open_ == {entry.run for entry in beside if entry.what == "end"}, "it ran alone the third time"
        for key in neighbours:
            assert len(stage.ledger.ends("line.first", key)) == 1
            assert len(stage.ledger.starts("line.second", key)) == 1
        assert (await stage.client.dead_letters.redrive(letter.id)).done == 1
        assert (await stage.ending("poison")).status == "completed"
        await stage.nothing_waits()
        await process.stop()


async def three_deaths(stage: Stage) -> None:
    """Processes that a handler ends, each as soon as it gets the job."""
    for _ in range(3):
        process = await stage.process().launch()  # it may be dead before all its consumers are there
        try:
            assert await process.ended(30) == 9, process.log
        finally:
            await process.close()


@pytest.mark.timeout(180)
@pytest.mark.fault("W11")
async def test_an_undo_that_kills_its_process_is_stuck_and_not_skipped(stage: Stage) -> None:
    await stage.begin_run("k", third="break", undo_second="exit:3")
    await three_deaths(stage)
    async with stage.process():

        async def listed() -> int:
            return await stage.client.dead_letters.list().count()

        await eventually("its letter", listed)
        [letter] = await stage.client.dead_letters.list().all()
        assert (letter.kind, letter.reason) == ("undo", "crash_loop")
        status = await stage.client.run("chain:k").status()
        assert (status.status, status.phase) == ("stalled", "compensating")
        assert stage.ledger.starts("undo:line.first") == [], (
            "undo waits for the stuck one: it is never skipped"
        )
        assert (await stage.client.dead_letters.redrive(letter.id)).done == 1
        assert (await stage.ending("k")).status == "compensated"
        assert len(stage.ledger.ends("undo:line.first")) == 1
        await stage.nothing_waits()
