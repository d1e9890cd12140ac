"""A dead-letter queue that is full drops nothing: its worker waits, and says why."""

from __future__ import annotations

import logging

import pytest

from pavane import App, Context, Event, Reject, Service
from pavane.testing import Harness


class Doomed(Event, name="fulldlq.doomed"):
    number: int


@pytest.mark.fault("B10")
async def test_a_letter_waits_for_room_and_consumption_pauses(caplog: pytest.LogCaptureFixture) -> None:
    service = Service("full")
    begun: list[int] = []

    @service.queue_worker("die").prefetch(1).dead_letters(max_length=1)
    async def die(ctx: Context[None], event: Doomed) -> None:
        begun.append(event.number)
        raise Reject("always")

    async with Harness(App(services=[service])) as harness:
        with caplog.at_level(logging.WARNING):
            for number in (1, 2, 3):
                await harness.emit(Doomed(number=number))
            await harness.until_idle()
        assert begun == [1, 2], "the second letter has no room, so the third job must not begin"
        assert "full" in caplog.text
        letters = harness.client.dead_letters

        async def by_number() -> dict[int, str]:
            return {one.event.payload["number"]: one.id async for one in letters.list() if one.event}

        found = await by_number()
        assert set(found) == {1, 2}
        report = await letters.discard(found[2], reason="its message waits outside")
        assert (report.done, len(report.skipped)) == (0, 1), "what the round passes over keeps its place"
        assert (await letters.discard(found[1], reason="seen")).done == 1
        await harness.advance(10)
        assert begun == [1, 2, 3]
        assert (await letters.discard(found[2], reason="seen")).done == 1
        await harness.advance(10)
        assert (await letters.discard((await by_number())[3], reason="seen")).done == 1
        assert await letters.list().count() == 0
