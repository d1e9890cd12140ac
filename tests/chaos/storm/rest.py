"""When all faults are healed: waiting until nothing moves any more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from subprocess import TimeoutExpired

from pavane import Client
from pavane.core.topology import Topology, queues_of, wheel_queues_of
from pavane.errors import InfrastructureError
from pavane.ports.broker import Broker
from tests.servers import RabbitServer, ServerError

MOVING = ("running", "compensating", "waiting")
"""Statuses of runs that have not come to rest. One that is stalled or paused is listed, and waits for a person."""

ASKED_EVERY = 1.0
QUIET_TWICE = 2

log = logging.getLogger("tests.chaos")


class Rest:
    """Looks at one namespace through a client and a broker that nothing disturbs."""

    def __init__(self, client: Client, broker: Broker, topology: Topology, rabbit: RabbitServer) -> None:
        self._client = client
        self._rabbit = rabbit
        self._broker = broker
        letters = {topology.names.dead_letter_queue(one.service, one.worker) for one in topology.workers}
        self.wheel = list(wheel_queues_of(topology))
        self.queues = [*(queue for queue in queues_of(topology) if queue not in letters), *self.wheel]

    async def reached(self, within: float) -> list[str]:
        """Wait until no run moves and no job waits, seen twice in a row; what still does after so many seconds."""
        end, quiet = time.monotonic() + within, 0
        moving: Sequence[str] = ["nobody has looked"]
        while time.monotonic() < end:
            try:
                moving = await self.moving() or await self.unacknowledged()
            except (InfrastructureError, ServerError, TimeoutExpired) as error:
                log.info("looked at later: %s", error)
            else:
                quiet = 0 if moving else quiet + 1
                if quiet == QUIET_TWICE:
                    return []
            await asyncio.sleep(ASKED_EVERY)
        return list(moving)

    async def moving(self) -> list[str]:
        """Runs that are on their way, and queues that hold jobs."""
        runs = [run async for run in self._client.runs(status=MOVING)]
        counts = await self._broker.count(self.queues)
        return [
            *(f"{run.run} is {run.status} with steps {dict(run.steps)}" for run in runs),
            *(
                f"{count.ready} messages wait in {queue}" if count is not None else f"{queue} is gone"
                for queue, count in zip(self.queues, counts, strict=True)
                if count is None or count.ready
            ),
        ]

    async def unacknowledged(self) -> list[str]:
        """Queues that hold a delivery that nobody has settled yet. A slow question: asked when all else is quiet."""
        told = await asyncio.to_thread(
            self._rabbit.rabbitmqctl, "list_queues", "--no-table-headers", "name", "messages"
        )
        counts = dict(line.split("\t") for line in told.splitlines() if "\t" in line)
        held = ((queue, int(counts.get(queue, 0))) for queue in self.queues)
        return [f"{count} messages of {queue} are not settled" for queue, count in held if count]
