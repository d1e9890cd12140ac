"""RabbitMQ and Redis, killed once each while orders go through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from tests.servers import RabbitServer, RedisServer


class Outages:
    """The servers of a round. `killed` names those that were killed, in order."""

    def __init__(self, rabbit: RabbitServer, redis: RedisServer) -> None:
        self._servers = {"rabbitmq": rabbit, "redis": redis}
        self._away = 0
        self._last_return = float("-inf")
        self.killed: list[str] = []
        self.over = asyncio.Event()

    def any_since(self, moment: float) -> bool:
        """Whether a server was away at some time since `moment` of the monotonic clock."""
        return self._away > 0 or self._last_return >= moment

    async def run(self, schedule: Sequence[tuple[float, str]]) -> None:
        """Kill each server at its time, in seconds from now, and start it again with the data it had."""
        began = time.monotonic()
        for at, name in schedule:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            self._away += 1
            try:
                await asyncio.to_thread(self._servers[name].restart, kill=True)
            finally:
                self._away -= 1
                self._last_return = time.monotonic()
            self.killed.append(name)
        self.over.set()
