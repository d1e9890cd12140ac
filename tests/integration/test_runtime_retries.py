"""When failed attempts come back, on real RabbitMQ: never early, and spread where jitter is asked for."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pavane import App, Context, Event, Service
from pavane.core.identity import loose_key
from pavane.runtime.clock import SystemClock
from tests.crash.stage import Stage, eventually, set_up
from tests.servers import RabbitServer, RedisServer

JOBS = 200
WINDOWS = {"factor": (2.0, 4.0), "full": (0.0, 4.0), "equal": (2.0, 4.0), "decorrelated": (1.0, 3.0)}
"""Seconds between which the second attempt lies, for the policies below."""

CRITICAL = {7: 40.5, 15: 57.3}
"""Chi-square that a uniform spread exceeds once in a million, by degrees of freedom."""


class Always(Event, name="retries.always"):
    key: str


class Together(Event, name="retries.together"):
    number: int


starts: dict[str, list[float]] = defaultdict(list)
failures: dict[str, list[float]] = defaultdict(list)
service = Service("retries")


async def always_fails(ctx: Context[None], event: Always) -> None:
    starts[ctx.event.id].append(time.monotonic())
    raise ConnectionError("always")


async def fails_once(ctx: Context[None], event: Together) -> None:
    key = f"{ctx.worker}/{event.number}"
    starts[key].append(time.monotonic())
    if ctx.attempt == 1:
        failures[key].append(time.monotonic())
        raise ConnectionError("once")


def define() -> None:
    always = service.queue_worker("always")
    always.retry(max_attempts=4, initial_delay=1, multiplier=2, jitter_mode="none").handler(always_fails)
    together: dict[str, dict[str, Any]] = {
        "factor": {"initial_delay": 2, "jitter": 1.0},
        "full": {"initial_delay": 4},
        "equal": {"initial_delay": 4},
        "decorrelated": {"initial_delay": 1},
    }
    for mode, policy in together.items():
        chosen: Any = {"max_attempts": 2, "jitter_mode": mode} | policy
        service.queue_worker(mode).prefetch(JOBS).retry(**chosen).handler(fails_once)


define()
app = App(services=[service])


@asynccontextmanager
async def working(
    rabbit: RabbitServer, redis_server: RedisServer, folder: Path, chance: random.Random
) -> AsyncIterator[Stage]:
    """The workers in this very process, with dice of the test's own."""
    async with set_up(rabbit.url, redis_server.url, folder, program=app) as stage:
        await stage.prepare()
        process = app.process(stage.store, stage.broker, stage.settings, SystemClock(), random=chance)
        try:
            await process.start()
            yield stage
        finally:
            await process.stop(5)


async def test_attempts_are_made_at_0_1_3_and_7_seconds(
    rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    async with working(rabbit, redis_server, tmp_path, random.Random(1)) as stage:
        event = await stage.client.emit(Always(key="a"))
        letters = stage.client.dead_letters

        async def dead() -> int:
            return await letters.list().count()

        await eventually("its letter", dead)
        [letter] = await letters.list().all()
        made = [at - starts[event][0] for at in starts[event]]
        print("attempts at", [f"{at:.3f}" for at in made])
        assert len(made) == 4
        for at, due in zip(made, (0, 1, 3, 7), strict=True):
            assert at >= due, "an attempt came too early"
        assert [attempt.delay_s for attempt in letter.attempts] == [1.0, 2.0, 4.0, None]
        assert [attempt.outcome for attempt in letter.attempts] == ["failed"] * 4


@pytest.mark.fault("L1")
async def test_jobs_that_fail_together_come_back_spread(
    rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    async with working(rabbit, redis_server, tmp_path, random.Random(seed)) as stage:
        ids = await asyncio.gather(*(stage.client.emit(Together(number=n)) for n in range(JOBS)))

        async def all_back() -> bool:
            return (
                sum(len(starts[f"retries.{mode}/{n}"]) == 2 for mode in WINDOWS for n in range(JOBS))
                == 4 * JOBS
            )

        await eventually("every job's second attempt", all_back, 60)
        delays = await drawn_delays(stage, ids)
    for mode, (low, high) in WINDOWS.items():
        worker = f"retries.{mode}"
        never_early(worker, delays[worker])
        spread_evenly(mode, [delay for _, delay in delays[worker]], low, high)


async def drawn_delays(stage: Stage, ids: list[str]) -> dict[str, list[tuple[int, float]]]:
    """By worker: the job's number, and the delay that its record says was drawn, in seconds."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, event in enumerate(ids):
        record = await stage.store.read(loose_key(event))
        assert record is not None
        for row in record.steps.values():
            found[row.worker].append((number, row.work.attempts[0].delay / 1000))
    return found


def never_early(worker: str, delays: list[tuple[int, float]]) -> None:
    late: list[float] = []
    for number, delay in delays:
        key = f"{worker}/{number}"
        came_after = starts[key][1] - failures[key][0]
        late.append(came_after - delay)
    print(f"{worker}: later than drawn by {min(late):.3f} to {max(late):.3f} s")
    assert min(late) >= 0, "an attempt came before the time that was drawn"


def spread_evenly(mode: str, delays: list[float], low: float, high: float) -> None:
    """Chi-square over the window's quarters of a second: delays are rounded up to those."""
    assert len(delays) == JOBS
    bins = round((high - low) / 0.25)
    found = Counter(round((delay - low) / 0.25) for delay in delays)
    # A draw of exactly the lower end, one in many, belongs to the first bin.
    found[1] += found.pop(0, 0)
    assert set(found) <= set(range(1, bins + 1)), f"{mode}: outside of {low} to {high} s: {found}"
    expected = JOBS / bins
    chi_square = sum((found[place] - expected) ** 2 / expected for place in range(1, bins + 1))
    print(f"{mode}: chi-square {chi_square:.1f} with {bins - 1} degrees of freedom")
    assert chi_square < CRITICAL[bins - 1], f"{mode}: not spread: {sorted(found.items())}"


@pytest.fixture(autouse=True)
def forget() -> None:
    starts.clear()
    failures.clear()
