"""A machine: one process of the app after the other, with connections of its own, killed, frozen, or asked to stop."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from pavane.app import App
from pavane.core.record import JobKind
from pavane.errors import InfrastructureError
from pavane.runtime.clock import SystemClock
from pavane.runtime.crash_points import Point
from pavane.runtime.process import Process
from pavane.settings import Settings
from pavane.testing.life import Unwatched
from tests.checker.history import History
from tests.checker.ledger import Effect, Ledger
from tests.checker.recording import RecordingBroker, RecordingStore, recording_workers
from tests.simulation.world.broker import HEARTBEAT, BrokerConnection, BrokerServer
from tests.simulation.world.chances import Chances
from tests.simulation.world.link import Link
from tests.simulation.world.loop import WORLD, Owner, WorldLoop
from tests.simulation.world.rights import Rights, everything
from tests.simulation.world.store import StoreConnection, StoreServer

GRACE = 3.0
BOOTS_IN = (0.3, 3.0)


@dataclass(slots=True, kw_only=True)
class Ground:
    """What all machines of a world share.

    Attributes:
        calm: nothing goes wrong by itself any more.
    """

    loop: WorldLoop
    random: Random
    chances: Chances
    store: StoreServer
    broker: BrokerServer
    history: History
    ledger: Ledger
    settings: Settings
    calm: bool = False


class Life:
    """One process, from its start to its end. What handlers reach of the world outside.

    Attributes:
        owner: whose its callbacks are.
        process: once it has started.
    """

    def __init__(self, machine: Machine, name: str) -> None:
        ground = machine.ground
        self._machine = machine
        self.owner = Owner(name)
        self.owner.skew = machine.skew
        self.to_store = Link(ground.loop, ground.random, ground.store)
        self.to_broker = Link(ground.loop, ground.random, ground.broker)
        self.store = StoreConnection(ground.loop, ground.store, self.to_store, ground.chances)
        self.broker = BrokerConnection(
            ground.loop, ground.broker, self.to_broker, ground.chances, self.owner, may=machine.may
        )
        self.process: Process | None = None
        self.stopping = False

    @property
    def links(self) -> tuple[Link, Link]:
        return self.to_store, self.to_broker

    # as `tests.workload.acts.Outside`

    @property
    def calm(self) -> bool:
        return self._machine.ground.calm

    def begin(self, effect: Effect) -> int:
        return self._machine.ground.ledger.begin(effect)

    def end(self, number: int) -> None:
        self._machine.ground.ledger.end(number)

    def effects(self) -> tuple[Effect, ...]:
        return self._machine.ground.ledger.effects()

    async def crash(self) -> None:
        self._machine.ground.chances.fired["crash"] += 1
        self._machine.kill(self, "crash")
        await asyncio.get_running_loop().create_future()


class Machine:
    """See the module.

    Attributes:
        may: the rights of its broker user.
        skew: milliseconds that its clock is ahead.
        life: the process that runs now; `None`: it is about to start again.
        deaths: how many were killed.
    """

    def __init__(
        self, ground: Ground, app: App, name: str, only: tuple[str, ...] = (), *, may: Rights = everything
    ) -> None:
        self.may = may
        self.ground = ground
        self.name = name
        self.skew = 0
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.deaths = 0
        self._app = app
        self._only = only

    @property
    def ready(self) -> bool:
        life = self.life
        return life is not None and life.process is not None and not life.stopping and life.process.ready

    def boot(self) -> None:
        """Start a process, if none runs."""
        if self.life is not None:
            return
        life = self.life = Life(self, f"{self.name}.{len(self.lives) + 1}")
        self.lives.append(life)
        self.ground.history.note("ok", "process", process=life.owner.name, detail={"what": "started"})
        self.ground.loop.create_task(self._live(life), context=life.owner.context)

    async def _live(self, life: Life) -> None:
        """What `App.running` does. A process that finds no server ends, and is started again."""
        ground, app = self.ground, self._app
        store: Any = RecordingStore(life.store, ground.history, life.owner.name)  # type: ignore[arg-type]
        broker: Any = RecordingBroker(life.broker, ground.history, life.owner.name)
        try:
            await store.open()
            await broker.open()
            await app.prepare(store, broker, ground.settings)
        except InfrastructureError:
            await broker.close()
            self._gone(life, "stopped")
            return
        life.process = app.process(
            store,
            broker,
            ground.settings,
            SystemClock(),
            only=self._only,
            random=Random(ground.random.random()),
            passed=partial(self._passed, life),
            nonce=life.owner.name,
            host=life.owner.name,
            workers=recording_workers(app.workers, ground.history, life.owner.name),
            lifespans={service.name: lambda: nullcontext(life) for service in app.services},
            watchdog=Unwatched(),
        )
        await life.process.start()

    # its ends

    def _passed(self, life: Life, point: Point, worker: str, kind: JobKind) -> None:
        if life.owner.alive and not self.ground.calm and self.ground.chances.maybe(f"crash.{point}"):
            self.ground.history.note(
                "ok", "crash", process=life.owner.name, worker=worker, kind=kind, detail={"point": point}
            )
            self.kill(life, f"crash.{point}")
            # Whoever is at this point goes no further either.
            raise asyncio.CancelledError(f"killed at {point}")

    def kill(self, life: Life | None, why: str = "killed") -> None:
        """As SIGKILL, or (half of the times) as a power cut: the broker hears of that by missing heartbeats."""
        if life is None or not life.owner.alive:
            return
        life.owner.alive = False
        self.deaths += 1
        unplugged = why == "killed" and self.ground.random.random() < 0.3
        wait = self.ground.random.uniform(1, 2) * HEARTBEAT if unplugged else 0.0
        self.ground.loop.call_later(wait, life.broker.lose, context=WORLD)
        self._gone(life, "killed")

    def freeze(self, seconds: float) -> None:
        """As SIGSTOP; a broker that hears nothing of it for too long takes its messages back."""
        life = self.life
        if life is None or life.owner.frozen:
            return
        life.owner.frozen = True
        heard_of = self.ground.random.uniform(1, 2) * HEARTBEAT
        if seconds > heard_of:
            self.ground.loop.call_later(heard_of, self._missed, life, context=WORLD)
        self.ground.loop.call_later(seconds, self.ground.loop.thaw, life.owner, context=WORLD)

    @staticmethod
    def _missed(life: Life) -> None:
        if life.owner.frozen:
            life.broker.lose()

    def stop(self) -> None:
        """As SIGTERM."""
        life = self.life
        if life is not None and not life.stopping and life.owner.alive:
            life.stopping = True
            self.ground.loop.create_task(self._stop(life), context=life.owner.context)

    async def _stop(self, life: Life) -> None:
        if life.process is not None:
            await life.process.stop(GRACE)
        await life.broker.close()
        self._gone(life, "stopped")

    def _gone(self, life: Life, how: str) -> None:
        """A supervisor starts it again."""
        life.owner.alive = False
        if self.life is life:
            self.life = None
            self.ground.history.note("ok", "process", process=life.owner.name, detail={"what": how})
            self.ground.loop.call_later(self.ground.random.uniform(*BOOTS_IN), self.boot, context=WORLD)

    def heal(self) -> None:
        """Let a frozen process go on, and clear its wires."""
        if self.life is not None:
            if self.life.owner.frozen:
                self.ground.loop.thaw(self.life.owner)
            for link in self.life.links:
                link.heal()
