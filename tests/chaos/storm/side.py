"""One cast's namespace, seen straight: without a proxy, and written down by nobody."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.topology import Topology
from pavane.ports.broker import Broker
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from tests.chaos.storm.field import SETTINGS, Field
from tests.chaos.storm.rest import Rest
from tests.chaos.storm.worker import Cast, app_of


@dataclass(frozen=True)
class Side:
    """A namespace, what is declared in it, and how it comes to rest."""

    cast: Cast
    client: Client
    store: Store
    broker: Broker
    topology: Topology
    rest: Rest


@asynccontextmanager
async def side_of(field: Field, cast: Cast, seed: int) -> AsyncGenerator[Side, None]:
    """Connected for as long as the block lasts."""
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
    try:
        yield Side(cast, client, store, broker, topology, Rest(client, broker, topology, field.rabbit))
    finally:
        await close_pair(store, broker)
