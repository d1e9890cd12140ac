"""One seed: its plan, its machines and people, its faults; then everything heals, and is judged."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from pavane.app import App
from pavane.client.client import Client
from pavane.core.record import Record
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings
from tests.checker.history import History
from tests.checker.ledger import MemoryLedger
from tests.checker.recording import RecordingBroker, RecordingStore
from tests.simulation.world.alone import START_NS, Told, alone
from tests.simulation.world.broker import TIMEOUT, BrokerConnection, BrokerServer, WheelClock
from tests.simulation.world.chances import Chances
from tests.simulation.world.link import Link
from tests.simulation.world.loop import Owner, WorldLoop
from tests.simulation.world.machine import GRACE, Ground, Machine
from tests.simulation.world.nemesis import Nemesis
from tests.simulation.world.store import StoreConnection, StoreServer
from tests.workload.build import build
from tests.workload.people import People
from tests.workload.plan import Plan, draw_plan

SHARDS: Final = 2
STORM: Final = 30.0
"""Seconds of virtual time in which things go wrong."""

LONGEST_CALM: Final = 600.0
"""Seconds of virtual time after which everything has to be at rest."""


class ServerClock:
    """The store's own clock: the world's."""

    def __init__(self, loop: WorldLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        return START_NS // 1_000_000 + int(self._loop.time() * 1000)

    def call_at(self, at: int, callback: Any) -> Any:
        raise AssertionError("a server's clock rings for nobody")

    async def sleep(self, duration: int) -> None:
        raise AssertionError("a server's clock rings for nobody")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a seed came to.

    Attributes:
        steps: handlers and undos that ran.
        faults: by kind: the nemesis's, the places' that fired, deaths.
        outcomes: runs by how they ended.
        recovery: seconds of virtual time from the healing to rest.
        violations: what must not be, a sentence each.
        trace: everything that happened, for a reader.
    """

    seed: int
    steps: int = 0
    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    did: Counter[str] = field(default_factory=Counter[str])
    recovery: float = 0.0
    virtual: float = 0.0
    turns: int = 0
    violations: list[str] = field(default_factory=list[str])
    trace: list[str] = field(default_factory=list[str])


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = Random(f"world/{seed}")
        self.loop = WorldLoop(Random(f"order/{seed}"))
        self.plan: Plan = draw_plan(seed)
        loop = self.loop
        clock = ServerClock(loop)
        self.settings = Settings(
            shards=SHARDS,
            max_hops=self.plan.max_hops,
            idle_after=90,
            publish_timeout=TIMEOUT,
            grace_period=GRACE,
            actor="operator-1",
        )
        chances = Chances(Random(f"places/{seed}"))
        self.ground = Ground(
            loop=loop,
            random=Random(f"ground/{seed}"),
            chances=chances,
            store=StoreServer(clock, shards=SHARDS),
            broker=BrokerServer(WheelClock(loop, clock.now), max_body=self.settings.max_body),
            history=History("world", now=self._now_ns),
            ledger=MemoryLedger(self._now_ns),
            settings=self.settings,
        )
        self.app: App = build(self.plan, lambda: nullcontext(None))  # type: ignore[arg-type, return-value]
        self.machines = self._machines()
        self.nemesis = Nemesis(self.ground, self.machines, Random(f"nemesis/{seed}"))
        self.healed_at = 0.0

    def _now_ns(self) -> int:
        return round(self.loop.time() * 1_000_000_000)

    def _machines(self) -> list[Machine]:
        """Two or three that run everything, or one for each service and one for all."""
        services = self.plan.services
        if len(services) > 1 and self.chance.random() < 0.3:
            only = [self.app.choose([service]) for service in services]
            return [Machine(self.ground, self.app, f"m{n}", names) for n, names in enumerate((*only, ()))]
        return [Machine(self.ground, self.app, f"m{n}") for n in range(self.chance.choice((2, 2, 3)))]

    async def play(self) -> None:
        """Everything, to the end."""
        for machine in self.machines:
            machine.boot()
        people = await self._people("people", "r")
        runs = self.chance.randint(6, 10)
        steering = self.loop.create_task(people.steer())
        starting = self.loop.create_task(people.start_runs(runs, STORM * 0.8))
        await self.nemesis.run(STORM)
        await starting
        steering.cancel()
        self._heal()
        await self._at_rest()
        self.people = people

    def _heal(self) -> None:
        self.healed_at = self.loop.time()
        self.nemesis.heal()
        self.ground.chances.on = False
        self.ground.calm = True

    async def _people(self, name: str, prefix: str) -> People:
        ground, owner = self.ground, Owner(name)
        store: Any = StoreConnection(
            self.loop, ground.store, Link(self.loop, ground.random, ground.store), ground.chances
        )
        broker = BrokerConnection(
            self.loop, ground.broker, Link(self.loop, ground.random, ground.broker), ground.chances, owner
        )
        await broker.open()
        client = Client.over(
            RecordingStore(store, ground.history, name),
            RecordingBroker(broker, ground.history, name),  # type: ignore[arg-type]
            settings=self.settings,
            clock=SystemClock(),
            random_bytes=Random(f"{name}/{self.seed}").randbytes,
            gather_for=0.01,
        )
        return People(client, self.plan, Random(f"{name}/wishes/{self.seed}"), prefix)

    async def _at_rest(self) -> None:
        """Wait until nothing goes on any more."""
        while not self._rests():
            if self.loop.time() - self.healed_at > LONGEST_CALM:
                raise AssertionError(
                    f"not at rest {LONGEST_CALM:g} s after everything was healed: {'; '.join(self._restless())}"
                )
            await asyncio.sleep(0.5)

    def _restless(self) -> list[str]:
        """What keeps the world from its rest."""
        found = [f"{m.name} is not ready" for m in self.machines if not m.ready]
        found += [f"{m.name} is busy" for m in self.machines if m.life and m.life.process and m.life.process.busy]
        found += self.ground.broker.restless()
        for key, record in self.ground.store._records.items():
            if not self._quiet(record):
                head = record.head
                rows = [(row.step, row.state) for row in record.steps.values()]
                found.append(
                    f"{key} {head.phase}: outbox {list(record.outbox.values())}, {head.leases}+{head.other_leases} leases,"
                    f" {head.retrying} retrying, timers {list(record.timers)}, {rows}"
                )
        return found

    def _rests(self) -> bool:
        return (
            all(machine.ready and not machine.life.process.busy for machine in self.machines)  # type: ignore[union-attr]
            and self.ground.broker.at_rest
            and all(self._quiet(record) for record in self.ground.store._records.values())
        )

    @staticmethod
    def _quiet(record: Record) -> bool:
        head = record.head
        return not (record.outbox or head.leases or head.other_leases or head.retrying or record.timers)


def simulate(seed: int) -> Outcome:
    """Play one seed."""
    gc.disable()
    world = World(seed)
    outcome = Outcome(seed=seed)
    loop = world.loop
    told = Told(loop)
    logger = logging.getLogger("pavane")
    logger.addHandler(told)
    logger.propagate = False
    try:
        with alone(loop, Random(f"os/{seed}")):
            loop.run_until_complete(world.play())
    except Exception as error:
        outcome.violations.append(f"{type(error).__name__}: {error}")
    finally:
        loop.over = True
        logger.removeHandler(told)
    ground = world.ground
    outcome.turns = loop.turns
    outcome.virtual = loop.time()
    outcome.recovery = loop.time() - world.healed_at
    outcome.faults = world.nemesis.struck + ground.chances.fired
    outcome.steps = sum(entry.op == "handler" and entry.type == "invoke" for entry in ground.history.entries)
    records = ground.store._records
    runs = [record for record in records.values() if record.head.is_run]
    outcome.runs = len(runs)
    outcome.outcomes = Counter(record.head.phase for record in runs)
    outcome.trace = [f"{at:9.3f} {who:8} {what}" for at, who, what in told.lines]
    for stray in loop.strays:
        outcome.violations.append(f"stray: {stray.get('message')} {stray.get('exception')!r}")
    return outcome
