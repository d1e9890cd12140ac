"""What all sides say when it is over: the checker on each namespace, and the services' own books."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from contracts.orders import OrderPlaced
from contracts.trips import TripRequested
from pavane import RunStatus
from services.demo.audit import audit
from services.demo.books import read_books
from tests.chaos.judge import judge_keys
from tests.chaos.storm.field import NEMESIS, Field
from tests.chaos.storm.load import Load
from tests.chaos.storm.recovery import SECOND
from tests.chaos.storm.side import Side
from tests.chaos.storm.worker import Cast, World, app_of
from tests.checker.collect import messages_of, records_of
from tests.checker.evidence import Evidence, Plan, Planned, workers_of
from tests.checker.history import Entry, merged, read_folder
from tests.checker.verdict import Violation
from tests.services.agency import read_books as read_trips
from tests.services.agency import violations as trip_violations
from tests.workload.build import WORKFLOW
from tests.workload.events import Started

STARTING: Mapping[Cast, Mapping[str, str]] = {
    "reference": {OrderPlaced.event_name: "order_fulfilment", TripRequested.event_name: "trip_booking"},
    "generated": {Started.event_name: WORKFLOW},
}
PEOPLE = ("client-", "auditor-")
OUTCOMES: Mapping[Cast, frozenset[str]] = {
    "reference": frozenset({"completed", "compensated", "failed"}),
    "generated": frozenset(),
}
"""Statuses that have to be seen; what a generated choreography brings about depends on its seed."""


async def gather(
    side: Side, field: Field, seed: int, planned: Sequence[Planned], faults: Sequence[str]
) -> Evidence:
    """All there is to judge a namespace by."""
    history = merged([*read_folder(field.folder / side.cast), *read_folder(field.folder / NEMESIS)])
    app = app_of(side.cast, seed, field.folder)
    generated = side.cast == "generated"
    world = World(field.folder)
    try:
        effects = await asyncio.to_thread(world.effects) if generated else ()
    finally:
        world.close()
    return Evidence(
        history=history,
        records=await records_of(side.store, history),
        effects=effects,
        queues=await messages_of(side.broker, side.topology, side.rest.wheel),
        workers=workers_of(app.workers, [worker.full_name for worker in app.workers] if generated else ()),
        plan=Plan(
            starts=tuple(planned),
            outcomes=OUTCOMES[side.cast],
            faults=frozenset(faults),
            starting=STARTING[side.cast],
            outside=frozenset(told_from_outside(history)),
            longest_wait=70 * SECOND,
            recovery=15 * SECOND,
        ),
        now=await side.store.now(),
        listed={run.run: run.status async for run in side.client.runs()},
    )


def told_from_outside(history: Sequence[Entry]) -> Iterator[str]:
    """Events that people published into no run: no record has them."""
    for entry in history:
        if entry.op == "publish" and not entry.record and entry.process.startswith(PEOPLE):
            yield entry.event


async def books(load: Load, statuses: Mapping[str, RunStatus]) -> list[str]:
    """What the services have written down themselves has to add up."""
    by_workflow: dict[str, dict[str, RunStatus]] = {"order_fulfilment": {}, "trip_booking": {}}
    for run in statuses.values():
        by_workflow[run.workflow][run.run_id] = run
    orders = await read_books()
    known = load.goods.known
    return [
        *audit(orders, by_workflow["order_fulfilment"], (), orders=len(known)),
        *(
            f"Order {order_id} is {row.status}, which it cannot be."
            for order_id, row in orders.orders.items()
            if not known[order_id].may_be(row.status)
        ),
        *await judge_keys(),
        *trip_violations(await read_trips(), by_workflow["trip_booking"]),
    ]


def processes(field: Field, grace: float) -> Iterator[str]:
    """No process died but by the nemesis' hand, and those asked to end did so in time."""
    for replica in field.replicas:
        for gone in replica.exits:
            yield f"{gone.name} ended by itself with {gone.code}:\n{gone.last_words}"
    for seconds in field.replaced_in:
        if seconds > grace:
            yield f"a process took {seconds:.1f} s to end after SIGTERM"


def lost(violation: Violation, rewound: frozenset[str]) -> bool:
    """Whether it follows from writes that Redis was made to forget. That pavane keeps silent about it never does."""
    if violation.invariant == "I2":
        return False
    return violation.record in rewound or any(f"{name}:" in violation.what for name in rewound)
