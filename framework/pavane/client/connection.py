"""From settings to a broker and a store: the one place that knows which adapters there are."""

from __future__ import annotations

import asyncio
from typing import Final

from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.store import MemoryStore
from pavane.errors import BrokerUnavailable, SettingsError, StateUnavailable
from pavane.ports.broker import Broker
from pavane.ports.clock import Clock
from pavane.ports.store import Store
from pavane.settings import Settings

_ONLY_STATE = "Redis answers: runs are kept, and what is to be sent goes out when RabbitMQ is back."
_ONLY_BROKER = "RabbitMQ answers: jobs and events wait in its queues until Redis is back."
_NEITHER = "Nothing moves until both are back; what they have on disk is kept."
_REMEDY = "Set PAVANE_BROKER_URL and PAVANE_STATE_URL, or run with --embedded (embedded=True)."


FIRST_CONTACT: Final = 3.7
"""Seconds until a program that has just been started says that a server is silent."""


def connect(settings: Settings, *, first_contact: float = FIRST_CONTACT) -> tuple[Store, Broker]:
    """A store and a broker on the servers that the settings name, not opened yet.

    Args:
        first_contact: seconds for each of them to answer when it is opened, all nodes of a cluster together.

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
        first_contact=first_contact,
    )
    store = RedisStore(
        settings.state_url,
        namespace=settings.namespace,
        shards=settings.shards,
        timeout=settings.state_timeout,
        strict=settings.durability == "strict",
        first_contact=first_contact,
    )
    return store, broker


def embedded(settings: Settings, clock: Clock) -> tuple[Store, Broker]:
    """The pair in memory: one process, nothing outlives it."""
    return MemoryStore(clock, shards=1), MemoryBroker(clock, max_body=settings.max_body)


async def open_pair(store: Store, broker: Broker) -> None:
    """Open both, or neither. Both are tried at once, so that one error tells how both stand.

    Raises:
        StateUnavailable, BrokerUnavailable: names what cannot be reached, and what the other one still does.
        SettingsError: as the one that failed said.
    """
    try:
        answers = await asyncio.gather(store.open(), broker.open(), return_exceptions=True)
        refusals = [answer for answer in answers if answer is not None]
        if refusals:
            raise _told(refusals)
    except BaseException:
        await close_pair(store, broker)
        raise


def _told(refusals: list[BaseException]) -> BaseException:
    """One error for all of these; an outage says less than anything else."""
    match refusals:
        case [StateUnavailable() as state, BrokerUnavailable() as broker]:
            remedy = f"{state.remedy} {broker.remedy}"
            return StateUnavailable(f"{state}; {broker}. {_NEITHER}", remedy=remedy)
        case [StateUnavailable() as state]:
            return StateUnavailable(f"{state}. {_ONLY_BROKER}", remedy=state.remedy)
        case [BrokerUnavailable() as broker]:
            return BrokerUnavailable(f"{broker}. {_ONLY_STATE}", remedy=broker.remedy)
        case [StateUnavailable(), other] | [other, *_]:
            return other
        case _:
            raise AssertionError("nothing was refused")


async def close_pair(store: Store, broker: Broker) -> None:
    """Close both, whatever the first one says."""
    try:
        await broker.close()
    finally:
        await store.close()
