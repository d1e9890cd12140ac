"""Messages that keep coming back: watched from the third time on, given up by RabbitMQ after twenty, never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pavane.core.topology import DELIVERY_LIMIT
from tests.crash.dropping import take_and_drop
from tests.crash.stage import Stage, eventually, set_up
from tests.servers import RabbitServer, RedisServer


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path) as stage:
        await stage.prepare()
        yield stage


async def given_up(stage: Stage) -> None:
    async def in_intake() -> bool:
        return await stage.ready_in(stage.names.intake("line")) == 1

    await eventually("RabbitMQ gives the message up", in_intake)


async def test_a_message_that_came_back_three_times_is_watched(stage: Stage) -> None:
    await stage.begin_run("k")
    await take_and_drop(stage, stage.queue("line.first"), 3)
    async with stage.process() as process:
        await process.says("a message came back 3 times")
        assert (await stage.ending("k")).status == "completed"
        assert await stage.outcomes("k", "line.first") == ["committed"]
        await stage.begin_run("next")
        assert (await stage.ending("next")).status == "completed"
        await stage.nothing_waits()


@pytest.mark.fault("B11")
async def test_a_job_that_never_began_is_put_back_once_and_runs(stage: Stage) -> None:
    await stage.begin_run("k")
    await take_and_drop(stage, stage.queue("line.first"), DELIVERY_LIMIT + 1)
    await given_up(stage)
    async with stage.process():
        assert (await stage.ending("k")).status == "completed"
        assert await stage.outcomes("k", "line.first") == ["committed"]
        await stage.nothing_waits()


@pytest.mark.fault("B11")
async def test_the_second_time_it_is_a_dead_letter_that_can_be_redriven(stage: Stage) -> None:
    await stage.begin_run("k")
    queue = stage.queue("line.first")
    async with stage.process("line.told"):  # its service's intake runs, the worker does not
        for _ in range(2):
            await take_and_drop(stage, queue, DELIVERY_LIMIT + 1)

        async def listed() -> int:
            return await stage.client.dead_letters.list().count()

        async def queued() -> int:
            return await stage.ready_in(stage.dead_letter_queue("line.first"))

        await eventually("its letter", listed)
        await eventually("its message, which a quorum queue counts late", queued)
    [letter] = await stage.client.dead_letters.list().all()
    assert (letter.run, letter.worker, letter.reason) == ("chain:k", "line.first", "delivery_limit")
    assert "probably innocent" in (letter.error or "")
    assert (await stage.client.run("chain:k").status()).status == "stalled"
    assert await queued() == 1
    # All that were given up so, and no others: what a deployment has done to many is repaired at once.
    assert (await stage.client.dead_letters.redrive(error="probably innocent")).done == 1
    async with stage.process():
        assert (await stage.ending("k")).status == "completed"
        await stage.nothing_waits()


async def test_what_was_given_up_while_no_process_ran_is_listed_once_one_does(stage: Stage) -> None:
    await stage.begin_run("k")
    queue = stage.queue("line.first")
    await take_and_drop(stage, queue, DELIVERY_LIMIT + 1)
    await given_up(stage)
    async with stage.process("line.told"):  # it never began, so it is put back

        async def back() -> bool:
            return await stage.ready_in(queue) == 1

        await eventually("the job back in its queue", back)
    await take_and_drop(stage, queue, DELIVERY_LIMIT + 1)
    await given_up(stage)
    assert await stage.client.dead_letters.list().count() == 0
    async with stage.process("line.told"):

        async def listed() -> int:
            return await stage.client.dead_letters.list(run="chain:k").count()

        await eventually("its letter", listed)
    status = await stage.client.run("chain:k").status()
    assert (status.status, [reason.partition(":")[0] for reason in status.stalled]) == ("stalled", ["dead"])
