"""Resources that fail to open are opened again, later each time; until then the service says that it is not ready."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random

import pytest

from pavane.runtime.resources import FIRST_PAUSE, LONGEST_PAUSE, Resources
from tests.unit.client.stage import JumpingClock


async def test_a_failing_lifespan_is_opened_again_with_growing_random_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[str, None]:
        opened.append("try")
        if len(opened) < 9:
            raise ConnectionError("the database is not there")
        yield "pool"
        opened.append("closed")

    clock = JumpingClock()
    resources = Resources("stock", lifespan, clock, Random(5))
    with caplog.at_level(logging.ERROR):
        assert await resources.open() == "pool"
    assert len(clock.sleeps) == 8
    for place, pause in enumerate(clock.sleeps):
        base = min(FIRST_PAUSE * 2**place, LONGEST_PAUSE)
        assert base * 0.5 <= pause <= base * 1.5
    assert len({pause / min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n, pause in enumerate(clock.sleeps)}) > 4
    assert "service stock is not ready" in caplog.text
    await resources.close()
    assert opened[-1] == "closed"


async def test_a_service_without_lifespan_has_no_resources() -> None:
    resources = Resources("stock", None, JumpingClock(), Random(5))
    assert await resources.open() is None
    await resources.close()
