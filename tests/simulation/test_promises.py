"""Whatever goes wrong, every run ends, every step commits once, what was done is undone, and nothing is left over."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any, get_args

import pytest

from pavane import ActionRefused, NotNow, Reject, Retry
from pavane.core import compensation
from pavane.events import RunEnded
from pavane.runtime import copies
from pavane.testing import CrashPoint, Harness
from tests.simulation.promises import breaches
from tests.simulation.trips import (
    CarBooked,
    FlightBooked,
    HotelBooked,
    TripAsked,
    TripBooked,
    TripRefused,
    travel,
    trips,
)

SEEDS = range(100)
WORKERS = (
    "bookings.flight",
    "bookings.hotel",
    "bookings.pack",
    "bookings.car",
    "desk.tell",
    "desk.watch",
)
COMPENSATED, UNSURE = WORKERS[:4], WORKERS[:3]
EVENTS = (TripAsked, FlightBooked, HotelBooked, CarBooked, TripBooked, TripRefused, RunEnded)


async def simulate(seed: int) -> list[str]:
    """Some trips while what this seed says goes wrong, then everything that mends; what is not as promised."""
    chance = Random(seed)
    async with Harness(travel().app, seed=seed) as harness:
        for number in range(chance.randint(1, 4)):
            for _ in range(chance.randint(0, 4)):
                order_fault(harness, chance)
            await harness.start(trips, TripAsked(trip=str(number), refused=chance.random() < 0.3))
            await harness.advance(chance.choice((0, 0.3, 5, 40, 70)))
            await steer(harness, chance)
            await endure(harness, chance)
        await mend(harness)
        return await breaches(harness, COMPENSATED, UNSURE)


def order_fault(harness: Harness, chance: Random) -> None:
    undo = chance.random() < 0.4
    worker = chance.choice(COMPENSATED if undo else WORKERS)
    match chance.randrange(5):
        case 0:
            errors = (OSError("away"), Retry("again"), Reject("never"), NotNow("busy", after=30))
            harness.fail(worker, chance.choice(errors), times=chance.randint(1, 4), undo=undo)
        case 1 | 2:
            point = chance.choice(get_args(CrashPoint))
            harness.crash(worker, after=point, undo=undo, times=chance.choice((1, 1, 1, 2, 3)))
        case 3:
            harness.duplicate(chance.choice(EVENTS), times=chance.randint(1, 2))
        case _:
            harness.hold(worker)


async def steer(harness: Harness, chance: Random) -> None:
    """Somebody pauses, resumes, cancels or gives up some of the runs, be it that they have ended."""
    async for status in harness.client.runs():
        if chance.random() < 0.6:
            continue
        run = harness.run(status.run)
        action = chance.choice((run.pause, run.pause, run.cancel, run.compensate))
        with suppress(ActionRefused):
            await (run.resume() if status.paused and chance.random() < 0.5 else action("by chance"))
        await harness.advance(chance.choice((0, 0, 0.3, 5)))


async def endure(harness: Harness, chance: Random) -> None:
    """Perhaps an outage; then some of those that hang go on."""
    if chance.random() < 0.3:
        outage = chance.choice((harness.broker_down, harness.state_down))
        with outage():
            await harness.advance(chance.choice((1, 20, 100)))
    for worker in WORKERS:
        if chance.random() < 0.7:
            harness.release(worker)


async def mend(harness: Harness) -> None:
    """Let everything go on, and redrive what died; what may not live again is dropped."""
    for worker in WORKERS:
        harness.release(worker)
    async for status in harness.client.runs(status="paused"):
        with suppress(ActionRefused):  # its last handler may just end it
            await harness.run(status.run).resume()
    await harness.advance(3 * 3600)
    for _ in range(8):
        await harness.client.dead_letters.redrive(everything=True)
        await harness.advance(3600)
    await harness.client.dead_letters.discard(everything=True)
    await harness.advance(10)


async def test_every_promise_is_kept() -> None:
    broken = {seed: found for seed in SEEDS if (found := await simulate(seed))}
    assert broken == {}, "by seed"


async def test_the_judge_sees_a_lost_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(*arguments: Any) -> None: ...

    monkeypatch.setattr(copies, "send_retry", lose)
    found = [one for seed in SEEDS[:10] for one in await simulate(seed)]
    assert any("is stalled (['idle'])" in one for one in found)


async def test_the_judge_sees_a_forgotten_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    due = compensation.needs_undo
    monkeypatch.setattr(compensation, "needs_undo", lambda record, row: due(record, row) and not row.late)
    found = [one for seed in SEEDS[:40] for one in await simulate(seed)]
    assert any("is committed in a run that is compensated" in one for one in found)
