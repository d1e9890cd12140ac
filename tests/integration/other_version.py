"""The program `pavane` of a version that declares its queues with another delivery limit, and that may die on the way.

`replace QUEUE` does what `topology migrate QUEUE` does for `moving_shop`, and begins sooner.

PAVANE_TEST_LIMIT=10    the delivery limit of all its queues
PAVANE_TEST_DIES=3      a migration kills itself, with SIGKILL, after its third step
PAVANE_TEST_DIES=moving the same, when it has published the first messages and not acknowledged them
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from unittest import mock

from pavane.adapters.rabbitmq import topology as declared
from pavane.adapters.rabbitmq.broker import RabbitMQBroker
from pavane.adapters.rabbitmq.mover import Mover
from pavane.client.connection import close_pair, connect, open_pair
from pavane.client.means import Means
from pavane.client.migration import migrate
from pavane.core.topology import Topology
from pavane.ports.broker import QueueCount, TopologyChange
from pavane.runtime.clock import SystemClock
from pavane.settings import Settings
from tests.integration.moving_shop import app

Messages = Sequence[tuple[object, bytes]]


@contextmanager
def limited_to(deliveries: int) -> Generator[None]:
    """Declare queues with this delivery limit."""
    with (
        mock.patch.dict(declared._arguments.__kwdefaults__, delivery_limit=deliveries),
        mock.patch.object(declared, "PARKED_LIMIT", deliveries),
    ):
        yield


def die_after(change: str) -> None:
    action, _, name = change.partition(":")
    migrate = RabbitMQBroker.migrate

    async def dying(
        self: RabbitMQBroker, queue: str, topology: Topology, events: Sequence[str] = ()
    ) -> AsyncGenerator[TopologyChange | QueueCount]:
        async for step in migrate(self, queue, topology, events):
            if isinstance(step, TopologyChange) and step.action == action and step.name.endswith(name):
                os.kill(os.getpid(), signal.SIGKILL)
            yield step

    RabbitMQBroker.migrate = dying  # type: ignore[method-assign]


def die_moving(*, published: bool) -> None:
    publish = Mover._published

    async def dying(self: Mover, messages: Messages, queue: str) -> object:
        outcomes = await publish(self, messages if published else [], queue)  # type: ignore[arg-type]
        if messages:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes

    Mover._published = dying  # type: ignore[assignment,method-assign]


async def replace(queue: str) -> None:
    settings = Settings.read(None)
    store, broker = connect(settings)
    await open_pair(store, broker)
    means = Means(store, broker, settings, SystemClock())
    await migrate(means, app.catalog(settings).topology(), queue, lambda count: None)
    await close_pair(store, broker)


if __name__ == "__main__":
    deliveries = int(os.environ.pop("PAVANE_TEST_LIMIT", "20"))
    match os.environ.pop("PAVANE_TEST_DIES", ""):
        case "":
            pass
        case "taking" | "moving" as when:
            die_moving(published=when == "moving")
        case change:
            die_after(change)
    with limited_to(deliveries):
        if sys.argv[1] == "replace":
            asyncio.run(replace(sys.argv[2]))
        else:
            from pavane.cli.program import main

            main(sys.argv[1:])
