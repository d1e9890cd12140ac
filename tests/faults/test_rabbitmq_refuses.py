"""A RabbitMQ that is there and takes nothing, takes channels away, or lets nobody in any more."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiormq
import pytest

from tests.crash.stage import Stage, eventually, set_up
from tests.crash.workers import WorkerProcess
from tests.servers import RabbitServer, RedisServer

WORKERS = ("line.first", "line.second", "line.third", "line.told")
MEMORY = "{resource_limit, memory, node()}"
SECRET, ANOTHER = "s3cret-of-the-test", "an0ther-of-the-test"


@pytest.fixture(scope="module")
def private() -> Iterator[RabbitServer]:
    """A broker whose settings these tests may change, as long as they put them back."""
    with RabbitServer() as server:
        evaluate(server, f'rabbit_auth_backend_internal:add_user(<<"svc">>, <<"{SECRET}">>, <<"t">>)')
        evaluate(server, permit(".*"))
        yield server


@pytest.fixture
async def stage(private: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(private.url, redis_server.url, tmp_path, publish_timeout="1") as stage:
        await stage.prepare()
        yield stage


def evaluate(server: RabbitServer, *expressions: str) -> str:
    """Have the node do these: one command, where `rabbitmqctl` would need a second for each."""
    return server.rabbitmqctl("eval", ", ".join(expressions) + ".")


async def at_work(stage: Stage, key: str) -> None:
    async def started() -> bool:
        return bool(stage.ledger.starts("line.first", key))

    await eventually(f"{key} is being worked on", started)


async def done_once(stage: Stage, key: str) -> None:
    """The run has completed; nothing ran twice, no attempt was spent."""
    assert (await stage.ending(key, 60)).status == "completed"

    async def told() -> bool:
        return bool(stage.ledger.ends("line.told", key))

    await eventually("the closing step", told)
    for worker in WORKERS:
        assert await stage.outcomes(key, worker) == ["committed"], worker
        assert len(stage.ledger.starts(worker, key)) == 1, worker


@pytest.mark.fault("B4")
async def test_during_an_alarm_the_outbox_keeps_what_is_committed_and_then_it_is_applied_once(
    private: RabbitServer, stage: Stage
) -> None:
    await stage.begin_run("k")
    await asyncio.to_thread(evaluate, private, f"rabbit_alarm:set_alarm({{{MEMORY}, []}})")
    async with stage.process() as process:
        try:
            # What is delivered is worked on: acknowledgements have a connection of their own.
            await process.says("broker: ")
            row = await stage.row("k", "line.first")
            assert row is not None
            assert row.committed
            assert set((await stage.record("k")).outbox) == set(row.emitted)
            await stage.begin_run("meanwhile")  # recorded, not published
            assert stage.ledger.starts("line.second") == []
        finally:
            await asyncio.to_thread(evaluate, private, f"rabbit_alarm:clear_alarm({MEMORY})")
        await process.says("broker: answers again")
        for key in ("k", "meanwhile"):
            await done_once(stage, key)
        await stage.nothing_waits()


@pytest.mark.fault("B5")
async def test_a_handler_that_outlives_the_consumer_timeout_loses_its_channel_and_nothing_else(
    private: RabbitServer, stage: Stage
) -> None:
    def consumer_timeout(milliseconds: int, tick: int) -> None:
        evaluate(
            private,
            f"application:set_env(rabbit, consumer_timeout, {milliseconds})",
            f"application:set_env(rabbit, channel_tick_interval, {tick})",
        )

    await asyncio.to_thread(consumer_timeout, 2_000, 500)
    try:
        async with stage.process() as process:
            await stage.begin_run("k", first="sleep:6")
            again = await process.says("has its consumer again")
            assert stage.queue("line.first") in again
            await done_once(stage, "k")
            await stage.nothing_waits()
            back = [line for line in process.lines if "has its consumer again" in line]
            assert {stage.queue("line.first") in line for line in back} == {True}, "no other worker was hit"
    finally:
        await asyncio.to_thread(consumer_timeout, 1_800_000, 60_000)


def permit(names: str) -> str:
    patterns = ", ".join(f'<<"{names}">>' for _ in range(3))
    return f'rabbit_auth_backend_internal:set_permissions(<<"svc">>, <<"/">>, {patterns}, <<"t">>)'


def password(word: str) -> str:
    return f'rabbit_auth_backend_internal:change_password(<<"svc">>, <<"{word}">>, <<"t">>)'


THROW_OUT = 'rabbit_networking:close_connections(rabbit_networking:connections(), "maintenance")'
LIMIT = 'rabbit_vhost_limit:set(<<"/">>, <<"{\\"max-connections\\":0}">>, <<"t">>)'
TROUBLES = {
    "password": (password(ANOTHER), password(SECRET)),
    "permission": (permit("^$"), permit(".*")),
    "limit": (LIMIT, 'rabbit_vhost_limit:clear(<<"/">>, <<"t">>)'),
}


@pytest.mark.fault("B12")
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_who_is_let_in_no_more_says_so_without_the_password_and_comes_back(
    private: RabbitServer, redis_server: RedisServer, tmp_path: Path, trouble: str
) -> None:
    begins, ends = TROUBLES[trouble]
    url = private.url.replace("guest:guest", f"svc:{SECRET}")
    async with set_up(url, redis_server.url, tmp_path, publish_timeout="1") as stage:
        await stage.prepare()
        async with stage.process() as process:
            seen = len(process.lines)
            await asyncio.to_thread(evaluate, private, begins, THROW_OUT)
            try:
                tries = await refused(process, private, seen)
            finally:
                await asyncio.to_thread(evaluate, private, ends)
            # Two connections, each with pauses of its own.
            assert tries <= 2, f"{tries:.1f} tries a second"
            assert SECRET not in process.log
            await process.says(f"{stage.queue('line.first')} has its consumer again", 30, after=seen)
            await stage.begin_run("k")
            await done_once(stage, "k")


async def refused(process: WorkerProcess, server: RabbitServer, seen: int) -> float:
    """Wait until the process says that it is kept out; how often it knocks, in a second."""
    await process.says("RabbitMQ", 20, after=seen)
    before, watched = knocks(server), 4.0
    started = time.monotonic()
    await asyncio.sleep(watched)  # what is measured is a rate
    return (knocks(server) - before) / (time.monotonic() - started)


def knocks(server: RabbitServer) -> int:
    """Connections that were made to the broker."""
    return len(re.findall(r"accepting AMQP connection", server.log.read_text(errors="replace")))


@pytest.mark.fault("B10")
async def test_a_letter_whose_queue_is_gone_is_listed_at_once_and_waits_for_it(
    private: RabbitServer, stage: Stage
) -> None:
    letters = stage.dead_letter_queue("line.second")
    async with stage.process():
        async with aiormq.connect(private.url) as connection:
            await (await connection.channel()).queue_delete(letters)
        await stage.begin_run("k", second="fail:3")

        async def listed() -> int:
            return await stage.client.dead_letters.list().count()

        await eventually("the letter is in the index", listed)
        assert (await stage.client.run("chain:k").status()).status == "stalled"
        assert await stage.broker.count([letters]) == [None]
        await stage.prepare()  # what an operator does: pavane topology apply

        async def arrived() -> bool:
            return await stage.ready_in(letters) == 1

        await eventually("its message has arrived", arrived)
        assert (await stage.client.dead_letters.redrive(everything=True)).done == 1
        assert (await stage.ending("k")).status == "completed"
        await stage.nothing_waits()
