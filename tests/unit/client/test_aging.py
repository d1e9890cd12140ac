"""Letters older than their worker's `discard_after` go, and what waited for them says so."""

from __future__ import annotations

from pavane import Context, Service
from pavane.client.aging import discard_aged
from tests.unit.client.stage import WORKER, Placed, Stage

HOUR = 3_600_000


def worker(**limits):
    service = Service("stock")

    async def reserve(ctx: Context[None], event: Placed) -> None:
        """Never called here."""

    service.queue_worker("reserve").dead_letters(**limits).handler(reserve)
    assert service.definitions[0].full_name == WORKER
    return service.definitions


async def test_only_letters_past_their_age_are_dropped() -> None:
    stage = await Stage.build()
    old = await stage.die(await stage.start("a"))
    stage.clock.time += HOUR
    young = await stage.die(await stage.start("b"))
    assert (
        await discard_aged(stage.client.dead_letters, worker(discard_after=HOUR / 1000 / 2), stage.clock) == 1
    )
    assert [letter.id for letter in await stage.client.dead_letters.list().all()] == [young]
    status = await stage.client.run("orders:a").status()
    assert status.status == "stalled"
    assert any(reason.startswith("discarded:") for reason in status.stalled), status.stalled
    [line] = [one async for one in stage.client.run("orders:a").history() if one.reason == "discarded"]
    assert line.by == "pavane"
    assert old != young


async def test_without_discard_after_letters_stay_for_ever() -> None:
    stage = await Stage.build()
    letter = await stage.die(await stage.start("a"))
    stage.clock.time += 1_000 * 24 * HOUR
    assert await discard_aged(stage.client.dead_letters, worker(alert_at=5), stage.clock) == 0
    assert [one.id for one in await stage.client.dead_letters.list().all()] == [letter]
