"""The same seed gives the same history byte for byte, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
from random import Random
from typing import get_args

import pytest

from pavane import Reject, Retry
from pavane.testing import CrashPoint, Harness
from pavane.testing.pace import Pace
from tests.unit.testing.shop import Charged, Declined, Noted, Placed, Reserved, orders, reminders, shop

SEEDS = range(100)
WORKERS = ("stock.reserve", "payment.charge", "payment.thank", "payment.note")


async def simulate(seed: int) -> str:
    """Some orders and reminders while what this seed says goes wrong; everything that is known afterwards."""
    chance = Random(seed)
    async with Harness(shop().app, seed=seed) as harness:
        for number in range(chance.randint(2, 5)):
            order_faults(harness, chance)
            await harness.start(orders, Placed(order=str(number), amount=chance.choice((10, 10, 500))))
            await harness.start(reminders, Noted(text=str(number)))
            await harness.advance(chance.choice((0, 0.3, 5, 40)))
        await endure(harness, chance)
        await harness.advance(3600)
        await harness.client.dead_letters.redrive(everything=True)
        await harness.advance(86_400)
        soon = await everything(harness)
        await harness.advance(366 * 86_400)
        return soon + await everything(harness)


def order_faults(harness: Harness, chance: Random) -> None:
    """Up to three faults, of any kind."""
    for _ in range(chance.randint(0, 3)):
        worker = chance.choice(WORKERS)
        match chance.randrange(4):
            case 0:
                error = chance.choice((OSError("away"), Retry("again"), Reject("never"), ValueError("bad")))
                harness.fail(worker, error, times=chance.randint(1, 5))
            case 1:
                harness.crash(worker, after=chance.choice(get_args(CrashPoint)))
            case 2:
                harness.crash("stock.reserve", after=chance.choice(get_args(CrashPoint)), undo=True)
            case _:
                harness.duplicate(chance.choice((Placed, Reserved, Charged, Declined)))


async def endure(harness: Harness, chance: Random) -> None:
    """An outage, and a handler that hangs."""
    harness.hold("payment.charge")
    outage = chance.choice((harness.broker_down, harness.state_down))
    with outage():
        await harness.advance(chance.randint(0, 100))
    await harness.advance(chance.randint(0, 100))
    harness.release("payment.charge")


async def everything(harness: Harness) -> str:
    """All runs with their steps and history, all letters, all events, as text."""
    lines: list[str] = []
    async for status in harness.client.runs(order_by="started_at"):
        run = harness.run(status.run)
        lines.append(status.model_dump_json())
        lines += [step.model_dump_json() async for step in run.steps()]
        lines += [entry.model_dump_json() async for entry in run.history()]
    lines += [letter.model_dump_json() async for letter in harness.client.dead_letters.list()]
    for event in (Placed, Reserved, Charged, Declined, Noted):
        lines += [one.model_dump_json() for one in harness.events(event)]
    for worker in WORKERS:
        lines += [call.model_dump_json() for call in harness.calls(worker)]
    return "\n".join(lines)


async def test_the_same_seed_gives_the_same_history_byte_for_byte() -> None:
    seen: set[str] = set()
    for seed in SEEDS:
        first, second = await simulate(seed), await simulate(seed)
        assert first.encode() == second.encode(), f"seed {seed}"
        seen.add(first)
        await asyncio.sleep(0)
    assert len(seen) == len(SEEDS), "every seed has a history of its own"


@pytest.mark.parametrize("seed", [3, 5])
async def test_another_seed_of_the_same_story_gives_other_ids_and_delays(seed: int) -> None:
    async def story(seed: int) -> tuple[list[str], list[float | None]]:
        async with Harness(shop().app, seed=seed) as harness:
            harness.fail("payment.charge", OSError, times=3)
            run = await harness.start(orders, Placed(order="1"))
            await run.result()
            ids = [step.step_id async for step in run.steps()]
            return ids, [call.delay_s for call in harness.calls("payment.charge")]

    (ids, delays), (others, other_delays) = await story(seed), await story(seed + 1)
    assert not set(ids) & set(others)
    assert delays != other_delays
    assert (ids, delays) == await story(seed)


@pytest.mark.parametrize("seed", range(10))
async def test_when_the_harness_is_idle_nothing_happens_any_more(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, gaps = Pace.rest, list[int]()

    async def rest_and_look_again(pace: Pace, *, strict: bool) -> None:
        await rest(pace, strict=strict)
        before = pace.signs()
        for _ in range(200):
            await asyncio.sleep(0)
        assert pace.signs() == before
        gaps.append(pace.quietest)

    monkeypatch.setattr(Pace, "rest", rest_and_look_again)
    await simulate(seed)
    assert 0 < max(gaps) <= 5, "as the comment at WAITING_TURNS says"
