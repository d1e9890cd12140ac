"""Many dead letters, and people who are killed on the way, look in vain, or get in each other's way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pavane.core.envelope import LETTER
from pavane.core.identity import idempotency_key
from tests.crash.stage import eventually
from tests.integration.bank import SAID, Bank, open_bank
from tests.integration.cli_runner import ROOT
from tests.integration.scale_shop import WORKER
from tests.servers import RabbitServer, RedisServer

MANY = 10_000


@pytest.fixture
async def bank(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Bank]:
    async with open_bank(rabbit, redis_server, tmp_path) as bank:
        yield bank


@pytest.mark.timeout(240)
async def test_a_redrive_that_is_killed_half_way_and_done_again_handles_every_letter_once(
    bank: Bank, redis_server: RedisServer
) -> None:
    letters = await bank.fill(MANY)
    await killed(bank, "dlq", "redrive", "--all", *SAID, when=half_redriven(bank))
    assert 0 < await bank.listed() < MANY
    begun = await bank.audit()
    assert {(line["action"], line["by"], line["reason"], line["outcome"]) for line in begun} == {
        ("dlq redrive", "operator-1", "the bank is back", "begun")
    }
    assert sorted(id_ for line in begun for id_ in line["subjects"]) == sorted(letters)
    told = await bank.cli("dlq", "redrive", "--all", *SAID)
    assert (told.code, f"another pass goes through {bank.dead}" in told.out) == (1, True)
    await end_lock(bank, redis_server)
    done = await bank.cli("dlq", "redrive", "--all", *SAID)
    assert done.code == 0, done
    assert (await bank.listed(), await bank.ready(bank.dead)) == (0, 0)
    await bank.worked_off(MANY)
    rows = bank.ledger.rows()
    assert [number for number, _ in rows] == list(range(MANY))
    assert len({key for _, key in rows}) == MANY


async def killed(bank: Bank, *words: str, when: Callable[[], Awaitable[object]]) -> None:
    """Start a command, and kill it at that moment."""
    process = await asyncio.to_thread(started, bank, *words)
    try:
        await eventually("the moment to kill it", when, within=90)
        assert process.poll() is None, "it ended too early"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def started(bank: Bank, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pavane.cli", *words],
        cwd=ROOT,
        env=bank.pavane.environment,
        stdout=subprocess.DEVNULL,
    )


def half_redriven(bank: Bank) -> Callable[[], Awaitable[bool]]:
    async def half() -> bool:
        return await bank.ready(bank.queue) >= MANY // 3

    return half


async def end_lock(bank: Bank, redis_server: RedisServer) -> None:
    """What half a minute would do: the pass that died keeps the next one out no longer."""
    async with Redis.from_url(redis_server.url) as redis:
        await redis.hset(f"{bank.settings.namespace}:lock:dlq/{bank.dead}", "until", 0)


async def test_thirty_passes_that_match_nothing_leave_the_letters_in_order_and_undelivered(
    bank: Bank,
) -> None:
    letters = await bank.fill(1_000)
    async with bank.client() as client:
        for number in range(30):
            assert (await client.dead_letters.redrive(worker=WORKER, error=f"no such {number}")).matched == 0
            # An id that the index has not may be what a killed pass left: every queue is gone through for it.
            report = await client.dead_letters.redrive(f"{number:016x}")
            assert (report.done, len(report.skipped)) == (0, 1)
    assert await queued(bank, 1_000) == [(letter, 0) for letter in letters]
    assert await bank.listed() == 1_000


async def queued(bank: Bank, count: int) -> list[tuple[object, int]]:
    """What is in the dead-letter queue, with how often it was delivered before."""

    async def there() -> bool:
        return await bank.ready(bank.dead) == count

    await eventually(f"{count} letters", there)
    taken = await bank.broker.take(bank.dead, count + 1)
    return [(delivery.message.headers[LETTER], delivery.delivery_count) for delivery in taken]


async def test_of_two_operators_at_once_one_is_told_and_no_letter_is_redriven_twice(bank: Bank) -> None:
    letters = await bank.fill(1_000)
    async with bank.client() as one, bank.client() as two:
        reports = await asyncio.gather(
            *(client.dead_letters.redrive(everything=True) for client in (one, two))
        )
    first, second = sorted(reports, key=lambda report: report.done)
    assert (first.done, second.done, second.skipped) == (0, 1_000, [])
    assert {(skipped.id, skipped.reason) for skipped in first.skipped} == {
        (letter, f"another pass goes through {bank.dead}") for letter in letters
    }

    async def all_sent() -> bool:
        return await bank.ready(bank.queue) == 1_000

    await eventually("every letter's job once in its queue", all_sent)
    assert await bank.ready(bank.dead) == 0


async def test_a_dry_run_names_what_the_real_run_then_takes(bank: Bank) -> None:
    letters = await bank.fill(40)
    wanted = ("dlq", "redrive", "--worker", WORKER, "--limit", "17")
    foreseen = await bank.cli(*wanted, "--dry-run")
    assert await bank.ready(bank.dead) == 40
    assert (await bank.cli(*wanted, *SAID)).code == 0
    first, *lines = foreseen.out.splitlines()
    taken = [line.strip() for line in lines]
    assert (first, len(taken)) == ("17 of 40 would be redriven", 17)
    assert [(line["outcome"], line["subjects"]) for line in await bank.audit()] == [
        ("begun", taken),
        ("done", taken),
    ]
    left = await queued(bank, 23)
    assert [letter for letter, _ in left] == [letter for letter in letters if letter not in taken]


async def test_an_edited_job_has_the_old_key_unless_another_is_asked_for(bank: Bank) -> None:
    first, second = await bank.fill(2)
    patch = ("--patch", '{"number":7}')
    kept = await bank.cli("dlq", "edit", first, *patch, *SAID)
    new = await bank.cli("dlq", "edit", second, *patch, "--new-key", *SAID)
    assert (kept.code, new.code) == (0, 0), (kept, new)
    await bank.worked_off(2)
    keys = [idempotency_key(f"~{number}", f"{WORKER}:{number}", "step") for number in range(2)]
    assert await keys_of(bank, keys) == [True, False]


async def keys_of(bank: Bank, keys: Sequence[str]) -> list[bool]:
    """Which of these keys the outside has seen."""
    seen = {key for number, key in bank.ledger.rows() if number == 7}
    assert len(seen) == 2
    return [key in seen for key in keys]
