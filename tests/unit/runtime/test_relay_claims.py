"""Which shards a relay asks for, and when: its own seldom, those of others at every look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

from pavane.ports.store import Tick
from pavane.runtime.patience import Patience
from pavane.runtime.relay import Relay
from pavane.testing.clock import VirtualClock

START = 1_700_000_000_000


class TwoShards:
    """A store whose shard 1 is held by a relay that dies after its last renewal."""

    shards = 2

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.held_until = 0
        self.asked: dict[str, list[int]] = {"relay.0": [], "relay.1": []}
        self.looked_at: dict[int, list[int]] = {0: [], 1: []}

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        """Nothing is ever due."""

    async def claim(self, name: str, owner: str, duration: int) -> int:
        now = self._clock.now() - START
        if name == "relay.1" and not self.held_until:
            self.held_until = now + duration - 1
        self.asked[name].append(now)
        return int(name == "relay.0" or now > self.held_until)

    async def tick(self, shard: int, *, subscribed: tuple[str, ...]) -> Tick:
        now = self._clock.now()
        self.looked_at[shard].append(now - START)
        return Tick(rows=(), next_due=0, now=now)


async def test_what_a_dead_relay_had_is_taken_within_twenty_five_seconds() -> None:
    clock = VirtualClock(START)
    store = TwoShards(clock)
    crew: Any = SimpleNamespace(
        clock=clock,
        store=store,
        patience=Patience(clock, Random(1)),
        nonce="p1",
        subscriptions=SimpleNamespace(framework=()),
    )
    relay = Relay(crew)
    working = asyncio.create_task(relay.run())
    while clock.now() < START + 60_000:
        for _ in range(10):
            await asyncio.sleep(0)
        clock.move_to(clock.next_at() or 0)
        clock.ring()
    working.cancel()
    assert store.held_until < store.looked_at[1][0] <= 25_000
    assert store.asked["relay.0"][:4] == [0, 15_000, 30_000, 45_000], "its own only before they run out"
    assert store.looked_at[0][:4] == [0, 5_000, 10_000, 15_000]
