"""The store port's guarantees in memory, by a clock that moves when told; and what only memory can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from pavane.adapters.memory.store import MemoryStore
from pavane.errors import StateUnavailable
from pavane.ports.store import Store
from pavane.testing.conformance import StoreConformance
from pavane.testing.conformance.store_stage import Stage


class HandClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.time = 1_767_225_600_000

    def now(self) -> int:
        return self.time

    def call_at(self, at: int, callback: Any) -> Any:
        raise AssertionError("the store does not wait")

    async def sleep(self, duration: int) -> None:
        raise AssertionError("the store does not wait")


class TestMemoryStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def _clock(self) -> None:
        self.clock = HandClock()

    async def pass_time(self, duration: int) -> None:
        self.clock.time += duration

    @pytest.fixture(params=[1, 4])
    async def store(self, request: pytest.FixtureRequest, _clock: None) -> AsyncIterator[Store]:
        store = MemoryStore(self.clock, shards=request.param)
        await store.open()
        await store.initialise()
        yield store
        await store.close()


async def test_a_store_that_is_down_answers_nothing_and_forgets_nothing() -> None:
    store = MemoryStore(HandClock())
    stage = await Stage.built(store)
    store.down = True
    with pytest.raises(StateUnavailable):
        await stage.begin()
    with pytest.raises(StateUnavailable):
        await store.read(stage.run)
    store.down = False
    await stage.granted()
