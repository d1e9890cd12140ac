"""From settings to a broker and a store: the one place that knows which adapters there are."""

from __future__ import annotations

from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.store import MemoryStore
from pavane.errors import SettingsError
from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Store
from pavane.settings import Settings

_REMEDY = "Set PAVANE_BROKER_URL and PAVANE_STATE_URL, or run with --embedded (embedded=True)."


def connect(settings: Settings) -> tuple[Store, Broker]:
    """A store and a broker on the servers that the settings name, not opened yet.

    Raises:
        SettingsError: a URL is missing. Nothing falls back to memory in silence.
    """
    missing = [
        variable
        for variable, url in (
            ("PAVANE_BROKER_URL", settings.broker_url),
            ("PAVANE_STATE_URL", settings.state_url),
        )
        if not url
    ]
    if settings.broker_url is None or settings.state_url is None:
        raise SettingsError(f"{' and '.join(missing)} not set.", remedy=_REMEDY)
    # Imported here, because a test in memory should not have to load what it never uses.
    from pavane.adapters.rabbitmq import RabbitMQBroker
    from pavane.adapters.redis.store import RedisStore

    broker = RabbitMQBroker(
        settings.broker_url,
        namespace=settings.namespace,
        heartbeat=settings.heartbeat,
        publish_timeout=settings.publish_timeout,
        max_body=settings.max_body,
    )
    store = RedisStore(
        settings.state_url,
        namespace=settings.namespace,
        shards=settings.shards,
        timeout=settings.state_timeout,
        strict=settings.durability == "strict",
    )
    return store, broker


def embedded(settings: Settings, clock: Clock) -> tuple[Store, Broker]:
    """The pair in memory: one process, nothing outlives it."""
    return MemoryStore(clock, shards=1), MemoryBroker(clock, max_body=settings.max_body)


async def open_pair(store: Store, broker: Broker) -> None:
    """Open both, or neither.

    Raises:
        StateUnavailable, BrokerUnavailable, SettingsError: as the one that failed said.
    """
    await store.open()
    try:
        await broker.open()
    except BaseException:
        await store.close()
        raise


async def close_pair(store: Store, broker: Broker) -> None:
    """Close both, whatever the first one says."""
    try:
        await broker.close()
    finally:
        await store.close()
