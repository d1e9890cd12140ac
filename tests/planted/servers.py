"""The tier of real servers: a day at the post on a private RabbitMQ and Redis, with as many mishaps as a story needs.

It sees what the adapters do with a planted bug. What needs deaths and outages is left to the storm.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Any

from pavane import App, Client
from pavane.core.record import Record
from pavane.core.topology import queues_of
from pavane.settings import Settings
from tests.checker.collect import messages_of, records_of
from tests.checker.evidence import Evidence, Plan, workers_of
from tests.checker.history import History
from tests.checker.judge import judge
from tests.checker.ledger import MemoryLedger
from tests.checker.parcels import WRITERS, Asked, parcels, post
from tests.checker.recording import recorded_ports
from tests.servers import RabbitServer, RedisServer

PATIENCE = 6.0
"""Seconds after which it is not waited any longer for rest: some bugs keep a system from it."""

DUE = 1.0
LONGEST_WAIT = 5_000_000_000


async def day(rabbit: RabbitServer, redis: RedisServer) -> list[str]:
    """One day; what was wrong with it."""
    history, ledger = History("post"), MemoryLedger()
    app = post(ledger, due=DUE)
    settings = Settings(
        broker_url=rabbit.url,
        state_url=redis.url,
        namespace=f"t{secrets.token_hex(4)}",
        shards=2,
        state_timeout=2,
    )
    with recorded_ports(history):
        async with app.running(settings) as client:
            await work(client, ledger)
            rested = await at_rest(app, client)
            evidence = await gathered(app, client, history, ledger)
    found = list(map(str, judge(evidence).violations))
    return found if rested or found else ["no rest"]


async def work(client: Client, ledger: MemoryLedger) -> None:
    """Parcels that are sent, refused, lost, paused, and given up while they are weighed; some looks in between."""
    torn = await client.start(parcels, Asked(parcel="torn", torn=1))
    await client.start(parcels, Asked(parcel="refused", refused=True))
    await client.start(parcels, Asked(parcel="lost", lost=True))
    paused = await client.start(parcels, Asked(parcel="paused", heavy=0.3))
    await paused.pause("by hand")
    heavy = await client.start(parcels, Asked(parcel="heavy", heavy=1.5))
    await on_the_scales("heavy", ledger)
    await heavy.cancel("by hand")
    for _ in range(10):
        await torn.status()
        await asyncio.sleep(0.05)
    await paused.resume()
    for number in range(10):
        await client.start(parcels, Asked(parcel=f"another-{number}", refused=number % 3 == 0))


async def on_the_scales(parcel: str, ledger: MemoryLedger) -> None:
    """Wait until the handler that weighs it has begun; a bug may keep it from that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while True:
                begun = [effect for effect in ledger.effects() if effect.worker == "post.weigh"]
                if any(effect.record.endswith(f":{parcel}") for effect in begun):
                    return
                await asyncio.sleep(0.01)


async def at_rest(app: App, client: Client) -> bool:
    """Whether all came to rest in time."""
    means: Any = client._means
    queues = [
        queue
        for queue in queues_of(app.catalog(means.settings).topology())
        if queue.split(".")[1] in ("q", "undo")
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while True:
                runs = [status.run async for status in client.runs()]
                records = [await means.store.read(run) for run in runs]
                counts = await means.broker.count(queues)
                if all(map(rests, records)) and not any(count.ready for count in counts):
                    return True
                await asyncio.sleep(0.1)
    return False


def rests(record: Record) -> bool:
    head = record.head
    return not (record.outbox or head.leases or head.other_leases or head.retrying or record.timers) and (
        head.terminal or bool(head.stalled)
    )


async def gathered(app: App, client: Client, history: History, ledger: MemoryLedger) -> Evidence:
    means: Any = client._means
    entries = history.entries
    return Evidence(
        history=entries,
        records=await records_of(means.store._store, entries),
        effects=ledger.effects(),
        queues=await messages_of(means.broker._broker, app.catalog(means.settings).topology()),
        workers=workers_of(app.workers, WRITERS),
        plan=Plan(longest_wait=LONGEST_WAIT),
        now=await means.store.now(),
        listed={status.run: status.status async for status in client.runs()},
    )
