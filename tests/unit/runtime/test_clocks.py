"""Machines' clocks may be wrong, and may be set: neither keeps a relay from its work nor costs anybody an attempt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from pavane.ports.store import Tick
from pavane.runtime.clock import SystemClock
from pavane.runtime.patience import Patience
from pavane.runtime.relay import Relay
from pavane.testing.clock import VirtualClock

START = 1_767_225_600_000
HOUR = 3_600_000


class Shard:
    """A store of one shard, whose clock is an hour ahead."""

    shards = 1

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.ticks: list[int] = []
        self.notify: Callable[[int, int], None] = lambda shard, at: None

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        self.notify = notify

    async def claim(self, name: str, owner: str, duration: int) -> int:
        return 1

    async def tick(self, shard: int, *, subscribed: tuple[str, ...]) -> Tick:
        self.ticks.append(self.clock.now() - START)
        return Tick(rows=(), next_due=0, now=self.clock.now() + HOUR)


@pytest.mark.fault("T1")
async def test_a_claimed_shard_is_looked_at_though_the_store_says_later_by_a_clock_an_hour_ahead() -> None:
    clock = VirtualClock(START)
    shard = Shard(clock)
    patience = Patience(clock, Random(1))
    crew: Any = SimpleNamespace(
        clock=clock, store=shard, patience=patience, nonce="p1", subscriptions=SimpleNamespace(framework=())
    )
    relay = Relay(crew)
    shard.notify(0, START + HOUR)
    working = asyncio.create_task(relay.run())
    for _ in range(3):
        for _ in range(5):
            await asyncio.sleep(0)
        clock.move_to(clock.next_at() or 0)
        clock.ring()
    working.cancel()
    assert shard.ticks[:2] == [0, 5_000], "at once, then every five seconds"


@pytest.mark.fault("T1")
def test_a_process_goes_by_monotonic_time_when_the_machines_clock_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wall, monotonic = START * 1_000_000, 77_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: wall)
    monkeypatch.setattr(time, "monotonic_ns", lambda: monotonic)
    clock = SystemClock()
    assert clock.now() == START
    wall -= HOUR * 1_000_000
    monotonic += 250_000_000
    assert clock.now() == START + 250
