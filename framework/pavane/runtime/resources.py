"""Services' resources: their lifespan is entered before consuming and left after the last handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from random import Random
from typing import Any

from pavane.ports.clock import Clock

FIRST_PAUSE = 500
LONGEST_PAUSE = 30_000

log = logging.getLogger("pavane")


class Resources:
    """The resources of one service in one process.

    A lifespan that fails to open is opened again, with growing, random pauses; until then the service
    consumes nothing and says so.
    """

    def __init__(
        self,
        service: str,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None,
        clock: Clock,
        random: Random,
    ) -> None:
        self._service = service
        self._lifespan = lifespan
        self._clock = clock
        self._random = random
        self._stack = AsyncExitStack()

    async def open(self) -> Any:
        """What the lifespan yields; `None` for a service without one. Waits until it opens."""
        if self._lifespan is None:
            return None
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._stack.enter_async_context(self._lifespan())
            except asyncio.CancelledError:
                raise
            except Exception:
                wait = int(pause * self._random.uniform(0.5, 1.5))
                log.exception(
                    "service %s is not ready: its lifespan failed to open; next try in %.1f s",
                    self._service,
                    wait / 1000,
                )
                await self._clock.sleep(wait)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        """Leave the lifespan. What it raises is logged: the other services close all the same."""
        try:
            await self._stack.aclose()
        except Exception:
            log.exception("service %s: its lifespan failed to close", self._service)
