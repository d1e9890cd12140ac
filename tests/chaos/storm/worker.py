"""The program of every process: `python -m tests.chaos.storm.worker reference w1`.

A process belongs to one of two casts, each in a namespace of its own on the same servers: the services of the reference
applications, and those of the choreography that the seed generates. Leases are short, so that a dead holder is
noticed while the storm lasts. What is asked of broker and store goes into the history, what the generated handlers
do outside into the ledger, what the services do into their own databases.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Never

from pavane import App
from pavane.model.definition import WorkerDefinition
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.process import Process
from services.demo.stage import app as orders
from services.trips import app as trips
from tests.checker.history import History
from tests.checker.ledger import SqliteLedger
from tests.checker.recording_broker import RecordingBroker
from tests.checker.recording_handlers import recording_workers
from tests.checker.recording_store import RecordingStore
from tests.planted.environment import planted_from_environment
from tests.workload.acts import Outside
from tests.workload.build import build
from tests.workload.plan import Plan as Choreography
from tests.workload.plan import draw_plan

FOLDER, SEED = "PAVANE_TEST_STORM", "PAVANE_TEST_STORM_SEED"
"""Variables: where histories and ledger are, and the number of the storm."""

Cast = Literal["reference", "generated"]
CASTS: tuple[Cast, Cast] = ("reference", "generated")

LEASE_MS = 5_000
HURRY = 10
"""A storm starts so many times more runs in a second than a world, for which rate limits are drawn."""

CALM = "calm"
"""A file of this name in the folder: nothing goes wrong in the generated handlers any more."""


class World(SqliteLedger):
    """The world outside, as the generated handlers of one process reach it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "ledger.db")
        self._calm = folder / CALM

    @property
    def calm(self) -> bool:
        return self._calm.exists()

    async def crash(self) -> Never:
        os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.Event().wait()
        raise AssertionError("it has outlived SIGKILL")


def choreography(seed: int) -> Choreography:
    """The generated one. Its handlers do not kill: the nemesis does, and counts."""
    plan = draw_plan(seed)
    works = tuple(replace(work, turns=work.turns * HURRY) for work in plan.works)
    return replace(plan, works=works, rates=replace(plan.rates, crashes=0.0))


def reference() -> App:
    """Orders and trips, in one app."""
    return App(services=[*orders.services, *trips.services], workflows=[*orders.workflows, *trips.workflows])


def generated(seed: int, folder: Path) -> App:
    """The choreography of the seed, its handlers writing to the ledger."""

    @asynccontextmanager
    async def outside() -> AsyncGenerator[Outside, None]:
        world = World(folder)
        try:
            yield world
        finally:
            world.close()

    return build(choreography(seed), outside)


def app_of(cast: Cast, seed: int, folder: Path) -> App:
    return reference() if cast == "reference" else generated(seed, folder)


class RecordedApp(App):
    """An app whose processes write down what they ask for and what they are answered."""

    def __init__(self, app: App, history: History) -> None:
        super().__init__(services=app.services, workflows=app.workflows, events=app.events)
        self._history = history

    @cached_property
    def _recorded(self) -> tuple[WorkerDefinition, ...]:
        return recording_workers([hurried(worker) for worker in super().workers], self._history)

    @property
    def workers(self) -> tuple[WorkerDefinition, ...]:
        return self._recorded

    def process(self, store: Store, broker: Broker, *args: Any, **kwargs: Any) -> Process:
        recorded = RecordingStore(store, self._history), RecordingBroker(broker, self._history)
        return super().process(*recorded, *args, **kwargs)


def hurried(worker: WorkerDefinition) -> WorkerDefinition:
    lease = min(worker.lease_ms, LEASE_MS)
    return replace(worker, lease_ms=lease, renew_every_ms=lease // 3)


def main(cast: str, name: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folder = Path(os.environ[FOLDER])
    history = History.in_folder(folder / cast, name)
    history.note("ok", "process", detail={"what": "started"})
    app = next(app_of(one, int(os.environ[SEED]), folder) for one in CASTS if one == cast)
    with planted_from_environment(__name__):
        RecordedApp(app, history).run()
    history.note("ok", "process", detail={"what": "stopped"})


if __name__ == "__main__":
    main(*sys.argv[1:])
