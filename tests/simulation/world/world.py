"""One seed: its plan, its machines and people, its faults; then everything heals, and is judged."""

from __future__ import annotations

import gc
import logging
import sys
import warnings
from collections import Counter
from contextlib import nullcontext
from random import Random
from typing import Any, Final

from pavane.app import App
from pavane.client.client import Client
from pavane.core import agenda
from pavane.core.record import Record
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings
from tests.checker.evidence import Evidence, workers_of
from tests.checker.evidence import Plan as Promised
from tests.checker.history import History
from tests.checker.judge import judge
from tests.checker.ledger import MemoryLedger
from tests.checker.recording import RecordingBroker, RecordingStore
from tests.checker.verdict import Violation
from tests.simulation.world.alone import Told, alone
from tests.simulation.world.broker import TIMEOUT, BrokerConnection, BrokerServer, WheelClock
from tests.simulation.world.chances import Chances
from tests.simulation.world.link import Link
from tests.simulation.world.loop import Owner, WorldLoop
from tests.simulation.world.machine import GRACE, Ground, Machine
from tests.simulation.world.nemesis import Nemesis
from tests.simulation.world.outcome import AS_IT_IS, Changed, Outcome
from tests.simulation.world.rights import rights_of
from tests.simulation.world.store import ServerClock, StoreConnection, StoreServer
from tests.workload.build import WORKFLOW, build
from tests.workload.people import People
from tests.workload.plan import MOST_HOPS, STARTED, Plan, draw_plan

SHARDS: Final = 2
STORM: Final = 25.0
"""Seconds of virtual time in which things go wrong."""

LONGEST_CALM: Final = 120.0
"""Seconds of virtual time after which everything has to be at rest."""

LONGEST_WAIT: Final = 30_000_000_000
"""Nanoseconds that a job may rightly wait: for a lease, a retry or a timer."""

MOST_ENTRIES: Final = 100_000
"""Entries of a history; most have two thousand. More is a flood: copies beget copies."""

TAIL: Final = 2
"""Runs that are begun when everything is healed."""


SETTINGS: Final = Settings(
    shards=SHARDS,
    max_hops=MOST_HOPS,
    idle_after=90,
    publish_timeout=TIMEOUT,
    grace_period=GRACE,
    actor="operator-1",
)

KEPT: Final[list[World]] = []
"""Worlds that are over, in a process that ends soon."""


class World:
    """Everything of one seed, and what it does in its time."""

    def __init__(self, seed: int, changed: Changed) -> None:
        self.seed = seed
        self.changed = changed
        self.rewound: set[str] = set()
        self.chance = Random(f"world/{seed}")
        self.loop = WorldLoop(Random(f"order/{seed}"))
        self.plan: Plan = draw_plan(seed)
        loop = self.loop
        clock = self.clock = ServerClock(loop)
        self.settings = SETTINGS
        chances = Chances(Random(f"places/{seed}"), without=changed.without)
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
        self.app: App = build(self.plan, lambda: nullcontext(None))  # type: ignore[arg-type]
        self.machines = self._machines()
        self.nemesis = Nemesis(self.ground, self.machines, Random(f"nemesis/{seed}"), without=changed.without)
        self.healed_at = 0.0
        self._places = 0
        self.failures: list[str] = []
        self.listed: dict[str, str] = {}
        self.people: People
        self.tail: People

    def _now_ns(self) -> int:
        return round(self.loop.time() * 1_000_000_000)

    def _machines(self) -> list[Machine]:
        """Two or three that run everything, or one for each service: with users of their own, or with one for all."""
        services = self.plan.services
        kind = self.chance.random() if len(services) > 1 else 1.0
        if kind < 0.2:
            several = (*services, self.chance.choice(services))
            return [
                Machine(self.ground, self.app, f"m{n}", self.app.choose([one]), may=rights_of(self.plan, one))
                for n, one in enumerate(several)
            ]
        if kind < 0.4:
            only = [self.app.choose([service]) for service in services]
            return [Machine(self.ground, self.app, f"m{n}", names) for n, names in enumerate((*only, ()))]
        return [Machine(self.ground, self.app, f"m{n}") for n in range(self.chance.choice((2, 2, 3)))]

    async def play(self) -> None:
        """Everything, to the end."""
        await self._deploy()
        people = self.people = await self._people("people", "r")
        runs = min(self.changed.most_runs, self.chance.randint(7, 11))
        steering = self.loop.create_task(people.steer())
        starting = self.loop.create_task(people.start_runs(runs, STORM * 0.8))
        if self.changed.forgetful:
            await self._forget()
        else:
            await self.nemesis.run(STORM)
        await starting
        steering.cancel()
        self._heal()
        await self._mend(people)
        await self._tail()
        if self.changed.forgetful:
            await self.loop.sleep(2 * SETTINGS.idle_after)  # what is lost is found by nothing else
        self.listed = {status.run: status.status async for status in self.tail.client.runs()}

    async def _mend(self, people: People) -> None:
        """Letters are redriven, and in nine worlds of ten runs are resumed; nothing that can go on must be left."""
        resumes = Random(f"resumes/{self.seed}").random() < 0.9
        for patience in (20.0, 20.0, 20.0, 40.0, 80.0):
            if resumes:
                await people.resume_all()
            if await self._at_rest(patience) and self.chance.random() < 0.7:
                return
            await people.redrive_all()
        for _ in range(160):
            if await self._at_rest(5.0):
                return
            # A letter queue that is full holds its worker up until somebody makes room, for each copy of the letter.
            await people.discard_all()
        if not await self._at_rest(LONGEST_CALM):
            raise AssertionError(f"no rest after everything was healed: {'; '.join(self._restless())}")

    async def _tail(self) -> None:
        """Runs that are begun now have to complete: a world that refuses everything breaks no promise either."""
        people = self.tail = await self._people("tail", "t")
        await people.start_runs(TAIL, 1.0, calm=True)
        await self._at_rest(LONGEST_CALM)
        for record in people.planned:
            run = self.ground.store._records.get(record)
            if run is None or run.head.phase != "completed":
                self.failures.append(f"{record}, begun after the faults, is {run and run.head.phase}")

    async def _deploy(self) -> None:
        """An event that nobody has ever subscribed to is nobody's: every service has been there once."""
        self.ground.chances.on = False
        for machine in self.machines:
            machine.boot()
        while not all(machine.ready for machine in self.machines):
            await self.loop.sleep(0.05)
        self.ground.chances.on = not self.changed.forgetful
        # One long fault to the checker: only when it has ended, everything has to go on soon.
        self._places = self.ground.history.note(
            "invoke", "nemesis", process="nemesis", detail={"what": "places"}
        ).seq

    async def _forget(self) -> None:
        """Let the store forget its last writes, in the midst of work."""
        await self.loop.sleep(self.chance.uniform(0.3, 0.8) * STORM)
        self.rewound |= set(self.ground.store.rewind(self.chance.randint(1, 30)))
        self.nemesis.struck["rewind"] += 1
        await self.loop.sleep(0.2 * STORM)

    def _heal(self) -> None:
        self.healed_at = self.loop.time()
        self.nemesis.heal()
        self.ground.chances.on = False
        self.ground.calm = True
        self.ground.history.note(
            "ok", "nemesis", process="nemesis", of=self._places, detail={"what": "places"}
        )

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
            RecordingBroker(broker, ground.history, name),
            settings=self.settings,
            clock=SystemClock(),
            random_bytes=Random(f"{name}/{self.seed}").randbytes,
            gather_for=0.01,
        )
        return People(client, self.plan, Random(f"{name}/wishes/{self.seed}"), prefix)

    async def _at_rest(self, patience: float) -> bool:
        """Wait until nothing goes on any more; `False`: it still does."""
        give_up = self.loop.time() + patience
        while not self._rests():
            if self.loop.time() > give_up:
                return False
            await self.loop.sleep(0.5)
        return True

    def _restless(self) -> list[str]:
        """What keeps the world from its rest."""
        found = [f"{m.name} is not ready" for m in self.machines if not m.ready]
        found += [
            f"{m.name} is busy" for m in self.machines if m.life and m.life.process and m.life.process.busy
        ]
        found += self.ground.broker.restless()
        for key, record in self.ground.store._records.items():
            if not self._quiet(record):
                head = record.head
                rows = [(row.step, row.state) for row in record.steps.values()]
                found.append(
                    f"{key} {head.phase}: outbox {list(record.outbox.values())},"
                    f" {head.leases}+{head.other_leases} leases, {head.retrying} retrying,"
                    f" timers {list(record.timers)}, {rows}"
                )
        return found

    def evidence(self) -> Evidence:
        """What the checker judges by."""
        ground = self.ground
        names = [worker.full_name for worker in self.app.workers]
        starts = (*self.people.planned.values(), *self.tail.planned.values())
        return Evidence(
            history=ground.history.entries,
            records=ground.store._records,
            effects=ground.ledger.effects(),
            queues=ground.broker.messages(),
            workers=workers_of(self.app.workers, names),
            plan=Promised(
                starts=starts,
                starting={STARTED: WORKFLOW},
                outside=frozenset(self.people.told),
                longest_wait=LONGEST_WAIT,
            ),
            now=self.clock.now(),
            listed=self.listed,
            rewound=frozenset(self.rewound),
        )

    def forgives(self, violation: Violation) -> bool:
        """A run that lost acknowledged writes only has to be listed. What it left outside of runs is its affair too:
        the letter of an event whose run was forgotten."""
        lost = violation.record in self.rewound or (bool(self.rewound) and violation.record.startswith("~"))
        return lost and violation.invariant != "I2"

    def outcome(self) -> Outcome:
        """What there is to tell in the end."""
        ground = self.ground
        runs = [record for record in ground.store._records.values() if record.head.is_run]
        return Outcome(
            seed=self.seed,
            steps=sum(one.op == "handler" and one.type == "invoke" for one in ground.history.entries),
            runs=len(runs),
            faults=self.nemesis.struck + ground.chances.fired,
            outcomes=Counter(agenda.status_of(record) for record in runs),
            recovery=self.loop.time() - self.healed_at,
            virtual=self.loop.time(),
            turns=self.loop.turns,
            did=self.people.did,
            violations=self.failures,
        )

    def _rests(self) -> bool:
        return (
            all(machine.ready and not machine.life.process.busy for machine in self.machines)  # type: ignore[union-attr]
            and self.ground.broker.at_rest
            and all(map(self._quiet, self.ground.store._records.values()))
        )

    def _quiet(self, record: Record) -> bool:
        head = record.head
        if head.key in self.rewound or (self.rewound and not head.is_run):
            return not record.outbox  # what else it waits for may have been forgotten
        if record.outbox or record.timers or head.deadline_at or head.void_at or head.release_at:
            return False  # a relay comes, if only when the claim of a dead one is over
        if head.paused_at and head.lease_max <= self.clock.now():
            return True  # what it would go on with is held: the checker looks for each job of it
        return not (head.leases or head.other_leases or head.retrying)


def simulate(
    seed: int, changed: Changed = AS_IT_IS, *, traced: bool = False, keeps_garbage: bool = False
) -> Outcome:
    """Play one seed. The garbage is collected between seeds alone: when it is must not depend on the machine.

    Args:
        traced: keep the history and what machines log, for `Outcome.entries` and `told`; it takes longer.
        keeps_garbage: leave the world to the end of this process.
    """
    gc.disable()
    gc.freeze()  # what was there before this world need not be looked through after it
    world = World(seed, changed)
    told = Told(world.loop)
    log = logging.getLogger("pavane")
    log.addHandler(told)
    log.propagate = False
    log.setLevel(logging.INFO if traced else logging.CRITICAL + 1)
    failures = world.failures
    try:
        with alone(world.loop, Random(f"os/{seed}")):
            world.loop.run_until_complete(world.play())
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}")
    finally:
        log.removeHandler(told)
        log.propagate = True
        log.setLevel(logging.NOTSET)
    failures += [f"{one['message']}: {one.get('exception')!r}" for one in world.loop.strays]
    if (entries := len(world.ground.history.entries)) > MOST_ENTRIES:
        failures.append(f"a flood: {entries} entries")
    if not failures:
        violations = judge(world.evidence(), forgetful=changed.forgetful).violations
        failures += [str(one) for one in violations if not world.forgives(one)]
    outcome = world.outcome()
    if traced:
        outcome.entries, outcome.told = world.ground.history.entries, told.lines
    if keeps_garbage:
        KEPT.append(world)
        world.loop.over = True
    else:
        bury(world)
    return outcome


def bury(world: World) -> None:
    """Throw the world away. What its dead coroutines say when they are closed concerns nobody."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # tasks that never got their first turn
            world.loop.bury()
            del world
            gc.collect()
    finally:
        sys.unraisablehook = hook
        gc.enable()
