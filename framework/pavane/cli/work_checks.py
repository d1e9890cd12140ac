"""Checks of the work itself: queues and consumers, and runs that do not get on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pavane.cli.findings import Finding, error, ok, warning
from pavane.client import Client
from pavane.client.migration import interrupted
from pavane.core.record import Record
from pavane.core.topology import Names, Topology
from pavane.errors import StateLost
from pavane.ports.broker import Broker
from pavane.ports.store import Place, RunQuery, Store
from pavane.runtime.topology import check_memory

LOOKED_AT: Final = 1_000
"""Live runs whose outbox is looked at."""

TRIED: Final = 3
"""Tries of the relay, over 20 seconds in all, after which a row counts as stuck."""

SKEW: Final = 1.0
"""Seconds between the clocks from which on times in logs and records mislead."""


async def topology_check(broker: Broker, store: Store, names: Names, wanted: Topology | None) -> Finding:
    """Against the definitions, if there are any; else against what services have registered."""
    name, remedy = "topology", "`pavane topology plan APP` shows it all, `pavane topology apply APP` does it."
    if wanted is not None:
        changes = [*await broker.plan(wanted), *await interrupted(broker, wanted)]
        if not changes:
            return ok(name, "Queues and exchanges are as the definitions want them.")
        first = changes[0]
        return error(
            name,
            f"{len(changes)} changes pending, first: {first.action} {first.name}.",
            first.remedy or remedy,
        )
    queues = [queue for worker in await registered_workers(store) for queue in _queues(names, worker)]
    missing = [
        queue for queue, count in zip(queues, await broker.count(queues), strict=True) if count is None
    ]
    if missing:
        return error(name, f"{len(missing)} queues are missing, first: {missing[0]}.", remedy)
    return ok(
        name, f"The {len(queues)} queues of registered workers exist; set PAVANE_APP to compare the rest."
    )


async def consumers_check(broker: Broker, store: Store, names: Names) -> Finding:
    workers = await registered_workers(store)
    counts = await broker.count([names.queue(*worker.split(".", 1)) for worker in workers])
    idle = [
        worker for worker, count in zip(workers, counts, strict=True) if count is None or count.consumers == 0
    ]
    if idle:
        services = dict.fromkeys(worker.partition(".")[0] for worker in idle)
        return warning(
            "consumers",
            f"Nobody consumes for {', '.join(idle)}.",
            f"Start what serves them: `pavane run APP --only {','.join(services)}`.",
        )
    return ok("consumers", f"All {len(workers)} registered workers have consumers.")


async def parked_check(broker: Broker, names: Names) -> Finding:
    [count] = await broker.count([names.parked])
    if count is None or count.ready == 0:
        return ok("parked", "No message is parked.")
    return error(
        "parked",
        f"{count.ready} messages in {names.parked} had no queue to go to, or could not even be dead-lettered.",
        f"`rabbitmqadmin get queue={names.parked}` shows them; their header x-death names the queue they come from. "
        "Bring that back (`pavane topology apply APP`), then move them with RabbitMQ's shovel: "
        "`rabbitmqctl set_parameter shovel back "
        f'\'{{"src-uri": "amqp://", "src-queue": "{names.parked}", "src-delete-after": "queue-length", '
        '"dest-uri": "amqp://", "dest-queue": "QUEUE"}\'`.',
    )


async def epoch_check(store: Store, broker: Broker, names: Names) -> Finding:
    if await store.initialised():
        return ok("epoch", "Redis remembers.")
    try:
        await check_memory(store, broker, Topology(namespace=names.namespace, workers=()))
    except StateLost as lost:
        remedy = "Restore Redis from its backup; or accept the loss: `pavane topology apply APP --new-epoch`."
        return error("epoch", f"{lost}.", remedy)
    return warning("epoch", "Nothing has been set up yet.", "Run `pavane topology apply APP`.")


async def clock_skew_check(store: Store) -> Finding:
    before = time.time()
    there = await store.now() / 1000
    skew = there - (before + time.time()) / 2
    if abs(skew) < SKEW:
        return ok("clock_skew", f"Redis's clock and this one are {abs(skew) * 1000:.0f} ms apart.")
    return warning(
        "clock_skew",
        f"Redis's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's.",
        "Timers and leases follow Redis's clock, so work is in order; times of logs and records cannot be compared. "
        "`timedatectl set-ntp true` on the machine whose clock is wrong.",
    )


async def outbox_check(store: Store) -> Finding:
    query, after, stuck, looked_at = RunQuery(statuses=_LIVE), None, list[str](), 0
    while looked_at < LOOKED_AT:
        places: list[Place] = await store.runs(query, after=after, limit=100)
        for place in places:
            record = await store.read(place.key)
            if record is not None and _is_stuck(record):
                stuck.append(place.key)
        looked_at += len(places)
        if len(places) < 100:
            break
        after = places[-1]
    if stuck:
        return error(
            "outbox",
            f"Events of {len(stuck)} runs cannot be published, first: {stuck[0]}.",
            f"`pavane topology verify APP` names the queue or binding that is missing, `pavane topology apply APP` "
            f"brings it back; the events go out by themselves then. `pavane runs show {stuck[0]}` has the run.",
        )
    return ok("outbox", f"Nothing waits to be published in the latest {looked_at} live runs.")


_LIVE: Final = ("running", "waiting", "paused", "stalled", "compensating")


def _is_stuck(record: Record) -> bool:
    return any(row.tries >= TRIED for row in record.outbox.values())


async def stalled_check(client: Client, store: Store) -> Finding:
    """Stalled runs, and workers with more dead letters than they say is normal (`dead_letters(alert_at=…)`)."""
    stalled = await client.runs(status="stalled").page(limit=100)
    letters = await client.dead_letters.list(answered=False).page(limit=LOOKED_AT)
    alert_at = {worker: at for one in await store.registrations() for worker, at in one.alert_at.items()}
    counted = Counter(letter.worker for letter in letters.items)
    many = [f"{worker} ({count})" for worker, count in counted.items() if count >= alert_at.get(worker, 1)]
    if not stalled.items and many:
        return warning(
            "stalled_runs",
            f"No run is stalled, but there are dead letters of {', '.join(sorted(many))}.",
            "`pavane dlq ls` lists them; redrive or discard them.",
        )
    if not stalled.items:
        return ok("stalled_runs", "No run is stalled.")
    reasons = sorted({reason.partition(":")[0] for run in stalled.items for reason in run.stalled})
    return warning(
        "stalled_runs",
        f"{_many(len(stalled.items), stalled.cursor)} runs are stalled: {', '.join(reasons)}.",
        "`pavane runs ls --status stalled` lists them, `pavane dlq ls` their dead letters.",
    )


def _many(count: int, cursor: str | None) -> str:
    return f"{count} or more" if cursor else str(count)


async def registered_workers(store: Store) -> Sequence[str]:
    return sorted({worker for one in await store.registrations() for worker in one.subscriptions})


def _queues(names: Names, worker: str) -> tuple[str, ...]:
    service, _, name = worker.partition(".")
    return names.queue(service, name), names.dead_letter_queue(service, name), names.intake(service)
