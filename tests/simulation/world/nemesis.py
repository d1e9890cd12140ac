"""Who breaks things: every 3 to 8 seconds one of its ways, sometimes two at once, and the swizzle once in a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Final

from tests.simulation.world.link import Server
from tests.simulation.world.machine import Ground, Machine

PAUSE: Final = (3.0, 8.0)
TWO_AT_ONCE: Final = 0.2
HOUR: Final = 3_600_000


class Nemesis:
    """Attributes:
    struck: how often, by kind.
    ways: by kind; each says how many seconds it lasts.
    """

    def __init__(
        self,
        ground: Ground,
        machines: list[Machine],
        random: Random,
        *,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Args:
        without: kinds whose turn comes and that do nothing.
        """
        self._ground = ground
        self._machines = machines
        self._random = random
        self._without = without
        self.struck: Counter[str] = Counter()
        self.ways: dict[str, Callable[[], float]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "sigterm": self._sigterm,
            "rolling_restart": self._rolling_restart,
            "clock_step": self._clock_step,
            "broker_down": self._broker_down,
            "broker_alarm": self._broker_alarm,
            "drop_confirms": self._drop_confirms,
            "store_down": self._store_down,
            "store_pause": self._store_pause,
            "drop_replies": self._drop_replies,
            "cut": self._cut,
            "one_way_cut": self._one_way_cut,
            "delete_channel": self._delete_channel,
            "lose_connection": self._lose_connection,
        }

    async def run(self, seconds: float) -> None:
        """Break things for so long."""
        end = self._now() + seconds
        swizzle_at = self._now() + self._random.uniform(0, seconds * 0.7)
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSE))
            if self._now() >= end:
                return
            if swizzle_at and self._now() >= swizzle_at:
                swizzle_at = 0.0
                self._strike("swizzle", self._swizzle)
            for _ in range(2 if self._random.random() < TWO_AT_ONCE else 1):
                kind = self._random.choice(tuple(self.ways))
                self._strike(kind, self.ways[kind])

    def heal(self) -> None:
        self._ground.store.heal()
        self._ground.broker.heal()
        for machine in self._machines:
            machine.heal()

    def _strike(self, kind: str, way: Callable[[], float]) -> None:
        if kind in self._without:
            return
        self.struck[kind] += 1
        asked = self._ground.history.note("invoke", "nemesis", process="nemesis", detail={"what": kind}).seq
        lasts = way()
        self._ground.loop.call_later(lasts, self._over, kind, asked)

    def _over(self, kind: str, asked: int) -> None:
        self._ground.history.note("ok", "nemesis", process="nemesis", of=asked, detail={"what": kind})

    def _now(self) -> float:
        return self._ground.loop.time()

    def _somebody(self) -> Machine:
        return self._random.choice(self._machines)

    # the ways

    def _kill(self) -> float:
        machine = self._somebody()
        machine.kill(machine.life)
        return 0.0

    def _freeze(self) -> float:
        seconds = self._random.uniform(1, 20)
        self._somebody().freeze(seconds)
        return seconds

    def _sigterm(self) -> float:
        self._somebody().stop()
        return 0.0

    def _rolling_restart(self) -> float:
        for place, machine in enumerate(self._machines):
            self._ground.loop.call_later(place * 3.0, machine.stop)
        return len(self._machines) * 3.0

    def _clock_step(self) -> float:
        machine = self._somebody()
        machine.skew = self._random.choice((-HOUR, -1_000, 0, 1_000, HOUR))
        if machine.life is not None:
            machine.life.owner.skew = machine.skew
        return 0.0

    def _broker_down(self) -> float:
        seconds = self._random.uniform(0.5, 6)
        self._ground.broker.down_until = self._now() + seconds
        for machine in self._machines:
            for life in machine.lives:
                life.broker.lose()
        return seconds

    def _broker_alarm(self) -> float:
        return self._server(self._ground.broker, "stuck_until", 1, 10)

    def _drop_confirms(self) -> float:
        return self._server(self._ground.broker, "mute_until", 2, 2)

    def _store_down(self) -> float:
        return self._server(self._ground.store, "down_until", 0.5, 6)

    def _store_pause(self) -> float:
        return self._server(self._ground.store, "stuck_until", 0.5, 5)

    def _drop_replies(self) -> float:
        return self._server(self._ground.store, "mute_until", 2, 2)

    def _server(self, server: Server, what: str, least: float, most: float) -> float:
        seconds = self._random.uniform(least, most)
        setattr(server, what, self._now() + seconds)
        return seconds

    def _cut(self) -> float:
        return self._clog(self._somebody(), self._random.uniform(1, 15))

    def _clog(self, machine: Machine, seconds: float) -> float:
        """Cut one machine off from the store, the broker, or both."""
        life = machine.life
        if life is not None:
            for link in self._random.choice((life.links, life.links[:1], life.links[1:])):
                link.clogged_until = self._now() + seconds
            if life.to_broker.clogged_until > self._now() and seconds > 6:
                self._ground.loop.call_later(self._random.uniform(6, seconds), life.broker.lose)
        return seconds

    def _one_way_cut(self) -> float:
        seconds = self._random.uniform(1, 8)
        life = self._somebody().life
        if life is not None:
            self._random.choice(life.links).deaf_until = self._now() + seconds
        return seconds

    def _delete_channel(self) -> float:
        life = self._somebody().life
        channels = list(life.broker.subscriptions) if life is not None else []
        if life is not None and channels:
            life.broker.lose_channel(self._random.choice(channels))
        return 0.0

    def _lose_connection(self) -> float:
        life = self._somebody().life
        if life is not None:
            life.broker.lose()
        return 0.0

    def _swizzle(self) -> float:
        """Clog all machines one by one, and release them in another order."""
        release = [self._random.uniform(4, 10) for _ in self._machines]
        for place, (machine, seconds) in enumerate(zip(self._machines, release, strict=True)):
            self._ground.loop.call_later(place * 1.0, self._clog, machine, seconds)
        return max(release) + len(release)
