"""One storm, from empty servers to the judgement."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

from pavane import Client
from tests.chaos.storm import verdict
from tests.chaos.storm.field import SETTINGS, Field
from tests.chaos.storm.forget import accept, flush, rewind
from tests.chaos.storm.load import Load, client_of
from tests.chaos.storm.nemesis import Nemesis
from tests.chaos.storm.plan import Plan
from tests.chaos.storm.recovery import Recovery, recoveries
from tests.chaos.storm.result import Result
from tests.chaos.storm.side import Side, side_of
from tests.chaos.storm.worker import CASTS, Cast
from tests.checker.judge import judge

RESTED_WITHIN = 180.0
FRESH_WITHIN = 60.0
SHOWN_EVERY = 10.0
MORE_THAN_GRACE = 4.0
"""Seconds beyond the grace period that the end of a process may take on a machine that is busy with all this."""

Clients = Mapping[Cast, Client]
Sides = Mapping[Cast, Side]


async def play(plan: Plan, folder: Path, say: Callable[[str], None]) -> Result:
    """Play it in `folder`, where histories, databases and logs are left."""
    os.environ["DATA"] = str(folder)
    began = time.monotonic()
    async with Field.pitched(plan, folder) as field:
        await field.start()
        say(f"{plan.workers} processes are ready after {time.monotonic() - began:.0f} s.")
        storm = Storm(plan, field, say)
        async with storm.connected("client") as (clients, sides):
            load = Load(plan, clients["reference"], clients["generated"], folder)
            await storm.strike(load, sides)
        async with storm.connected("auditor") as (clients, sides):
            load.goes_on_with(clients["reference"], clients["generated"])
            await storm.rest(load, sides)
            await field.stop()
            await storm.conclude(load, sides)
    storm.result.elapsed = time.monotonic() - began
    return storm.result


class Storm:
    """Use `connected`, and in it `strike`; then, connected anew, `rest` and `conclude`."""

    def __init__(self, plan: Plan, field: Field, say: Callable[[str], None]) -> None:
        self.result = Result(plan)
        self._plan = plan
        self._field = field
        self._say = say
        self._nemesis = Nemesis(field, plan.longest)
        self._loaded_until = 0

    @asynccontextmanager
    async def connected(self, name: str) -> AsyncGenerator[tuple[Clients, Sides], None]:
        """For each cast a recorded client behind the client's proxies, and its side seen straight."""
        field, plan = self._field, self._plan
        async with AsyncExitStack() as stack:
            clients: Clients = {
                cast: await stack.enter_async_context(client_of(field, cast, name, plan.idle_after))
                for cast in CASTS
            }
            sides: Sides = {
                cast: await stack.enter_async_context(side_of(field, cast, plan.seed)) for cast in CASTS
            }
            yield clients, sides

    async def strike(self, load: Load, sides: Sides) -> None:
        """Load and faults, until both are over."""
        await load.prepare()
        queues = [queue for side in sides.values() for queue in side.rest.queues]
        await asyncio.to_thread(self._field.rabbit.settle, *queues)
        loading = asyncio.create_task(load.run())
        loading.add_done_callback(self._load_is_over)
        beside = [asyncio.create_task(work) for work in (self._show(load), load.steer())]
        try:
            await self._field.beside_keepers(
                asyncio.gather(self._faults(load, sides, loading), ended(loading))
            )
        finally:
            for task in (loading, *beside):
                task.cancel()
            await asyncio.gather(loading, *beside, return_exceptions=True)
        self.result.struck = self._nemesis.struck
        self.result.reports += self._nemesis.missed

    def _load_is_over(self, loading: asyncio.Task[None]) -> None:
        self._loaded_until = time.monotonic_ns()

    async def _faults(self, load: Load, sides: Sides, loading: asyncio.Task[None]) -> None:
        plan, result = self._plan, self.result
        if plan.mode == "storm":
            await self._nemesis.run(plan.strikes())
            return
        await asyncio.sleep(plan.lasting / 2)
        if plan.mode == "rewind":
            result.rewound = await rewind(self._field, Random(f"{plan.seed}/rewind"))
        else:
            result.violations += await flush(self._field, load.request, list(sides.values()))
            loading.cancel()  # who knows the old state is refused for good
        self._nemesis.struck[plan.mode] += 1

    async def _show(self, load: Load) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(SHOWN_EVERY)
            seconds, faults = time.monotonic() - began, self._nemesis.struck.total()
            self._say(f"{seconds:5.0f} s  {load.accepted} runs started, {faults} faults over")

    async def rest(self, load: Load, sides: Sides) -> None:
        """Heal, wait until nothing moves, and ask for fresh runs, which have to go through."""
        field, began = self._field, time.monotonic()
        load.calm()
        if self._plan.mode == "flush":
            await field.beside_keepers(accept(field, list(sides.values())))
        await field.beside_keepers(field.heal())
        beside = [asyncio.create_task(work) for work in (load.look_after_letters(), load.tidy_up())]
        try:
            await self._come_to_rest(sides, RESTED_WITHIN)
            self._say(f"At rest after {time.monotonic() - began:.0f} s.")
            self.result.violations += await field.beside_keepers(load.tail(FRESH_WITHIN))
            await self._come_to_rest(sides, FRESH_WITHIN)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _come_to_rest(self, sides: Sides, within: float) -> None:
        for side in sides.values():
            left = await self._field.beside_keepers(side.rest.reached(within))
            self.result.violations += [f"not at rest after {within:g} s: {what}" for what in left]

    async def conclude(self, load: Load, sides: Sides) -> None:
        """The judgement."""
        plan, field, result = self._plan, self._field, self.result
        statuses = await load.statuses()
        result.runs.update(run.status for run in statuses.values())
        result.violations += verdict.processes(
            field, float(SETTINGS["PAVANE_GRACE_PERIOD"]) + MORE_THAN_GRACE
        )
        if plan.mode == "storm":
            result.violations += await verdict.books(load, statuses)
        if plan.mode != "flush":  # of what was before it there is nothing left to judge
            for side in sides.values():
                await self._judge(load, side)
        for proxy in field.proxies:
            result.did += proxy.faults.did
        result.replaced_in = max(field.replaced_in, default=0.0)
        result.redriven = Counter(load.redriven)
        result.steered = load.people.did

    async def _judge(self, load: Load, side: Side) -> None:
        plan, result, cast = self._plan, self.result, side.cast
        starts = (load.planned if cast == "reference" else load.people.planned).values()
        evidence = await verdict.gather(side, self._field, plan.seed, list(starts), list(result.struck))
        said = judge(replace(evidence, rewound=result.rewound), forgetful=plan.mode == "rewind")
        forgiven = [one for one in said.violations if verdict.lost(one, result.rewound)]
        result.violations += [f"{cast}: {one}" for one in said.violations if one not in forgiven]
        result.violations += [f"{cast}: vacuous: {why}" for why in said.vacuity]
        result.reports += [f"{cast}: {one}" for one in (*forgiven, *said.reports)]
        result.counts[cast] = said.counts
        if cast == "generated" and evidence.listed is not None:
            result.runs.update(evidence.listed.values())
        for kind, one in recoveries(evidence, self._loaded_until).items():
            result.recovered.setdefault(kind, Recovery()).add(one)


async def ended(task: asyncio.Task[None]) -> None:
    """Wait for it; one that was cancelled on purpose has ended too."""
    with suppress(asyncio.CancelledError):
        await asyncio.shield(task)
