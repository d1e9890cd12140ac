"""One storm, from empty servers to the judgement."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.runtime.clock import SystemClock
from tests.chaos.storm import verdict as judging
from tests.chaos.storm.field import SETTINGS, Field
from tests.chaos.storm.forget import flush, rewind
from tests.chaos.storm.load import Load, client_of
from tests.chaos.storm.nemesis import Nemesis
from tests.chaos.storm.plan import Plan
from tests.chaos.storm.rest import Rest
from tests.chaos.storm.verdict import Recovery, Sides
from tests.chaos.storm.worker import CASTS, Cast, app_of
from tests.checker.judge import judge

RESTED_WITHIN = 180.0
FRESH_WITHIN = 60.0
SHOWN_EVERY = 10.0
MORE_THAN_GRACE = 4.0
"""Seconds beyond the grace period that the end of a process may take on a machine that is busy with all this."""


@dataclass
class Result:
    """What a storm came to.

    Attributes:
        struck: faults by kind.
        recovered: how long each kind of fault held things up, at worst.
        violations: sentences.
        counts: what there was to judge, by namespace.
        rewound: records that lost something on purpose.
    """

    plan: Plan
    struck: Mapping[str, int] = field(default_factory=dict[str, int])
    did: Mapping[str, int] = field(default_factory=dict[str, int])
    runs: Counter[str] = field(default_factory=Counter[str])
    recovered: dict[str, Recovery] = field(default_factory=dict[str, Recovery])
    replaced_in: float = 0.0
    redriven: Counter[str] = field(default_factory=Counter[str])
    steered: Mapping[str, int] = field(default_factory=dict[str, int])
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    rewound: frozenset[str] = frozenset()
    reports: list[str] = field(default_factory=list[str])
    violations: list[str] = field(default_factory=list[str])
    elapsed: float = 0.0


async def play(plan: Plan, folder: Path, say: Callable[[str], None]) -> Result:
    """Play it in `folder`, where histories, databases and logs are left."""
    os.environ["DATA"] = str(folder)
    result, began = Result(plan), time.monotonic()
    async with Field.pitched(plan, folder) as field:
        await field.start()
        say(f"{plan.workers} processes are ready after {time.monotonic() - began:.0f} s.")
        async with AsyncExitStack() as stack:
            clients = {
                cast: await stack.enter_async_context(client_of(field, cast, plan.idle_after))
                for cast in CASTS
            }
            sides = {cast: await stack.enter_async_context(side_of(field, cast, plan.seed)) for cast in CASTS}
            load = Load(plan, clients["reference"], clients["generated"], folder)
            await load.prepare()
            queues = [queue for side in sides.values() for queue in side.rest.queues]
            await asyncio.to_thread(field.rabbit.settle, *queues)
            await storm(plan, field, load, sides, result, say)
            await rest(field, load, sides, result, say)
            await field.stop()
            await conclude(plan, field, load, sides, result)
    result.elapsed = time.monotonic() - began
    return result


async def storm(
    plan: Plan,
    field: Field,
    load: Load,
    sides: Mapping[Cast, Side],
    result: Result,
    say: Callable[[str], None],
) -> None:
    """Load and faults, until both are over."""
    nemesis = Nemesis(field, plan.longest)

    async def show() -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(SHOWN_EVERY)
            started = sum(
                one.asked == "ok" for one in (*load.planned.values(), *load.people.planned.values())
            )
            say(
                f"{time.monotonic() - began:5.0f} s  {started} runs started, {nemesis.struck.total()} faults over"
            )

    async def strike() -> None:
        match plan.mode:
            case "storm":
                await nemesis.run(plan.strikes())
            case "rewind":
                await asyncio.sleep(plan.lasting / 2)
                result.rewound = await rewind(field, Random(f"{plan.seed}/rewind"))
                nemesis.struck["rewind"] += 1
            case "flush":
                await asyncio.sleep(plan.lasting / 2)
                result.violations += await flush(field, load.request, list(sides.values()))
                nemesis.struck["flush"] += 1

    beside = [asyncio.create_task(work) for work in (show(), load.steer())]
    try:
        await field.beside_keepers(asyncio.gather(strike(), load.run()))
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
    result.struck = dict(nemesis.struck)


@dataclass(frozen=True)
class Side(Sides):
    """A namespace, and how it comes to rest."""

    rest: Rest


@asynccontextmanager
async def side_of(field: Field, cast: Cast, seed: int) -> AsyncGenerator[Side, None]:
    """A namespace seen straight, without a proxy, and written down by nobody."""
    settings = Settings(
        broker_url=field.rabbit.url,
        state_url=field.redis.url,
        namespace=field.namespaces[cast],
        shards=int(SETTINGS["PAVANE_SHARDS"]),
    )
    store, broker = connect(settings)
    await open_pair(store, broker)
    client = Client.over(store, broker, settings=settings, clock=SystemClock())
    topology = app_of(cast, seed, field.folder).catalog(settings).topology()
    rest = Rest(client, broker, topology)
    try:
        yield Side(cast, client, store, broker, topology, rest.wheel, rest)
    finally:
        await close_pair(store, broker)


async def rest(
    field: Field, load: Load, sides: Mapping[Cast, Side], result: Result, say: Callable[[str], None]
) -> None:
    """Heal, wait until nothing moves, and ask for fresh runs, which have to go through."""
    load.calm()
    await field.beside_keepers(field.heal())
    began = time.monotonic()
    looking = asyncio.create_task(load.look_after_letters())
    try:
        for side in sides.values():
            left = await field.beside_keepers(side.rest.reached(RESTED_WITHIN))
            result.violations += [f"not at rest after {RESTED_WITHIN:g} s: {what}" for what in left]
        say(f"At rest after {time.monotonic() - began:.0f} s.")
        result.violations += await field.beside_keepers(load.tail(FRESH_WITHIN))
        for side in sides.values():
            left = await side.rest.reached(FRESH_WITHIN)
            result.violations += [f"not at rest after fresh runs: {what}" for what in left]
    finally:
        looking.cancel()


async def conclude(plan: Plan, field: Field, load: Load, sides: Mapping[Cast, Side], result: Result) -> None:
    """The judgement."""
    planned = {"reference": load.planned, "generated": load.people.planned}
    statuses = await load.statuses()
    result.runs.update(run.status for run in statuses.values())
    if plan.mode == "storm":
        result.violations += await judging.books(load, statuses)
    grace = float(SETTINGS["PAVANE_GRACE_PERIOD"]) + MORE_THAN_GRACE
    result.violations += judging.processes(field, grace)
    if plan.mode == "flush":
        return  # of what was before there is nothing left to judge
    for cast, side in sides.items():
        starts = list(planned[cast].values())
        evidence = await judging.gather(side, field, plan.seed, starts, list(result.struck))
        said = judge(replace(evidence, rewound=result.rewound), forgetful=plan.mode == "rewind")
        result.violations += [f"{cast}: {one}" for one in said.violations]
        result.violations += [f"{cast}: vacuous: {why}" for why in said.vacuity]
        result.reports += [f"{cast}: {one}" for one in said.reports]
        result.counts[cast] = said.counts
        if cast == "generated" and evidence.listed is not None:
            result.runs.update(evidence.listed.values())
        for kind, one in judging.recoveries(evidence).items():
            worst = result.recovered.setdefault(kind, Recovery())
            worst.after = max(worst.after, one.after)
            worst.standstill = max(worst.standstill, one.standstill)
    for proxy in field.proxies:
        result.did = Counter(result.did) + proxy.faults.did
    result.replaced_in = max(field.replaced_in, default=0.0)
    result.redriven = Counter(load.redriven)
    result.steered = load.people.did
