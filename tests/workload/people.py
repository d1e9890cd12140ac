"""Who uses a generated choreography: they start its runs, some twice, bring events in, and steer at random."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

from pavane import ActionRefused, Client
from pavane.core.identity import keyed_event_id
from pavane.errors import InfrastructureError, RunError
from tests.checker.evidence import Planned
from tests.workload.build import WORKFLOW, workflow_of
from tests.workload.events import CLASSES, Started, Told
from tests.workload.plan import Plan

REUSED: Final = 0.05
"""Share of starts that take the id of an earlier run, on purpose."""

TRIES: Final = 4


class People:
    """Attributes:
    planned: the starts, and how each was answered.
    told: ids of events that were sent into no run.
    did: how often each thing was done and answered, by name.
    """

    def __init__(self, client: Client, plan: Plan, chance: Random, prefix: str = "r") -> None:
        self.client = client
        self._plan = plan
        self._workflow = workflow_of(plan)
        self._chance = chance
        self._prefix = prefix
        self._runs: list[str] = []
        self._outside = 0
        self.planned: dict[str, Planned] = {}
        self.told: list[str] = []
        self.did: Counter[str] = Counter()
        self._wishes: tuple[Callable[[], Awaitable[object]], ...] = (
            self._cancel,
            self._pause,
            self._pause,
            self._resume,
            self._resume,
            self._compensate,
            self._skip,
            self._redrive,
            self._redrive,
            self._redrive,
            self._discard,
            self._edit,
            self._tell,
            self._look,
            self._look,
        )

    async def start_runs(self, count: int, seconds: float, *, calm: bool = False) -> None:
        """Start so many runs in so many seconds."""
        for number in range(count):
            await asyncio.sleep(self._chance.uniform(0, 2 * seconds / count))
            repeated = bool(self._runs) and self._chance.random() < REUSED
            key = self._chance.choice(self._runs) if repeated else f"{self._prefix}{number}"
            await self._start(key, calm)

    async def _start(self, key: str, calm: bool) -> None:
        """Somebody who gets no answer asks again; the run's id makes that harmless."""
        record = f"{WORKFLOW}:{key}"
        if key not in self._runs:
            self._runs.append(key)
        before = self.planned.get(record)
        for _ in range(TRIES):
            self.planned[record] = Planned(record=record, asked="info")
            try:
                await self.client.start(self._workflow, Started(key=key, calm=calm))
            except InfrastructureError:
                await asyncio.sleep(self._chance.uniform(0.1, 2))
            else:
                self.planned[record] = Planned(record=record, asked="ok")
                self.did["start"] += 1
                return
        if before is not None and before.asked == "ok":
            self.planned[record] = before

    async def steer(self, pause: tuple[float, float] = (0.5, 4.0)) -> None:
        """Do something at random, now and then, for ever."""
        while True:
            await asyncio.sleep(self._chance.uniform(*pause))
            if self._runs:
                await self._wish(self._chance.choice(self._wishes))

    async def _wish(self, wish: Callable[[], Awaitable[object]]) -> None:
        name = wish.__name__.removeprefix("_")
        try:
            await wish()
        except (RunError, InfrastructureError):
            self.did[f"{name} refused"] += 1
        else:
            self.did[name] += 1

    # what they do

    def _handle(self) -> Any:
        return self.client.run(self._workflow, self._chance.choice(self._runs))

    async def _cancel(self) -> None:
        await self._handle().cancel("by chance", undo=self._chance.random() < 0.8)

    async def _pause(self) -> None:
        await self._handle().pause("by chance")

    async def _resume(self) -> None:
        await self._handle().resume()

    async def _compensate(self) -> None:
        await self._handle().compensate("by chance")

    async def _skip(self) -> None:
        """Go on without a step that is dead or waits for its next attempt."""
        handle = self._handle()
        stuck = [step async for step in handle.steps() if step.status in ("dead", "retrying")]
        works = {work.full_name: work for work in self._plan.works if work.emits}
        stuck = [step for step in stuck if step.worker in works]
        if stuck:
            step = self._chance.choice(stuck)
            event = CLASSES[works[step.worker].emits[-1]](key=handle.run_id, calm=True)
            await handle.skip(step.step_id, event, reason="by chance")

    async def _redrive(self) -> None:
        await self.client.dead_letters.redrive(everything=True, limit=self._chance.choice((1, None)))

    async def _discard(self) -> None:
        then: Any = self._chance.choice((None, None, "compensate", "leave"))
        await self.client.dead_letters.discard(everything=True, limit=1, then=then)

    async def _edit(self) -> None:
        """Mend a letter: what it leads to goes well."""
        page = await self.client.dead_letters.list().page(limit=3)
        if page.items:
            letter = self._chance.choice(page.items)
            if letter.run is not None and letter.kind == "step":
                payload = {"key": letter.run.partition(":")[2], "calm": True}
                await self.client.dead_letters.edit(letter.id, payload, reason="by chance")

    async def _tell(self) -> None:
        run = self._handle() if self._chance.random() < 0.5 else None
        self._outside += 1
        key = f"{self._prefix}/outside/{self._outside}"
        if run is None:
            self.told.append(keyed_event_id(key))
        await self.client.emit(Told(key="outside"), run=run, idempotency_key=key)

    async def _look(self) -> None:
        await self._handle().status()

    # what they do when the faults are over

    async def resume_all(self) -> None:
        """Let everything go on that somebody has paused."""
        async for status in self.client.runs(status="paused"):
            with suppress(ActionRefused):  # it may just end
                await self.client.run(status.run).resume()

    async def redrive_all(self) -> None:
        await self.client.dead_letters.redrive(everything=True, reason="the faults are over")

    async def discard_all(self) -> None:
        await self.client.dead_letters.discard(everything=True, then="compensate")
