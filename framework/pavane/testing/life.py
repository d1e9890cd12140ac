"""The one process of the harness: started, killed at a crash point, and started again on what is left.

Being killed is sudden: no lease is given back, nothing more is written or published, no resource is closed
(old ones are closed when the harness is left, because the test goes on in the same interpreter). What the
dead process had not acknowledged goes back to its queues, as when its connection is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from random import Random

from pavane.app import App
from pavane.core.record import JobKind
from pavane.errors import UsageError
from pavane.runtime.crash_points import Point
from pavane.runtime.process import Lifespan, Process
from pavane.settings import Settings
from pavane.testing.clock import VirtualClock
from pavane.testing.faults import Faults
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.stage import Stage


class Unwatched:
    """A watchdog for where no other process waits for a lease."""

    def handler_started(self) -> None: ...

    def handler_ended(self) -> None: ...

    def stop(self) -> None: ...


class Life:
    """Gives the app's workers a process, again and again.

    Attributes:
        deaths: how often the process was killed.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        store: ObservedStore,
        broker: ObservedBroker,
        clock: VirtualClock,
        stage: Stage,
        faults: Faults,
        random: Random,
        resources: Mapping[str, object],
    ) -> None:
        """Args:
        random: of the process's chances.
        resources: by service, instead of what its lifespan yields.

        Raises:
            UsageError: resources for a service that is not there.
        """
        self._app = app
        self._settings = settings
        self._store = store
        self._broker = broker
        self._clock = clock
        self._stage = stage
        self._faults = faults
        self._random = random
        self._resources = resources
        self._stacks: list[AsyncExitStack] = []
        self._process: Process | None = None
        self._restart: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[dict[str, Lifespan]] | None = None
        self.deaths = 0
        names = [service.name for service in app.services]
        for unknown in resources.keys() - set(names):
            raise UsageError(f"resources: there is no service {unknown!a:.80}.", remedy=f"{', '.join(names)}")

    async def start(self) -> None:
        """Open resources, then consume.

        Raises:
            Whatever a lifespan raises: a test is told at once, nothing is tried again.
        """
        self._opening = asyncio.get_running_loop().create_task(self._open_resources())
        lifespans = await self._opening
        number = self.deaths + 1
        self._process = self._app.process(
            self._store,
            self._broker,
            self._settings,
            self._clock,
            alone=True,
            random=self._random,
            passed=partial(self._passed, number),
            nonce=f"p{number}",
            host=f"harness:{number}",
            workers=self._stage.workers,
            lifespans=lifespans,
            watchdog=Unwatched(),
        )
        await self._process.start()

    async def _open_resources(self) -> dict[str, Lifespan]:
        stack = AsyncExitStack()
        self._stacks.append(stack)
        opened: dict[str, Lifespan] = {}
        for service in self._app.services:
            if service.name in self._resources:
                opened[service.name] = partial(nullcontext, self._resources[service.name])
            elif service.lifespan is not None:
                resource = await stack.enter_async_context(service.lifespan())
                opened[service.name] = partial(nullcontext, resource)
        return opened

    # what goes on in it

    @property
    def busy(self) -> bool:
        """Whether there is anything that it has begun and not ended."""
        return self.starting or (self._process is not None and self._process.busy)

    @property
    def starting(self) -> bool:
        """Whether a new process is coming up."""
        return self._restart is not None and not self._restart.done()

    @property
    def opening(self) -> bool:
        """Whether it opens its resources now, which takes real time; the rest of a start takes virtual time."""
        return self._opening is not None and not self._opening.done()

    def check(self) -> None:
        """Raises:
        What kept a new process from starting.
        """
        if self._restart is not None and self._restart.done() and not self._restart.cancelled():
            self._restart.result()

    async def opened(self, timeout: float) -> bool:
        """Wait for the resources of a new process, at most `timeout` real seconds; whether they are open."""
        if self._opening is None:
            return True
        done, _ = await asyncio.wait((self._opening,), timeout=timeout)
        return bool(done)

    # its end

    def _passed(self, number: int, point: Point, worker: str, kind: JobKind) -> None:
        if number == self.deaths + 1 and self._faults.crashes(worker, kind, point):
            self._die()
            # Whoever is at this point goes no further either.
            raise asyncio.CancelledError(f"the process died at {point}")

    def _die(self) -> None:
        if self._restart is not None:
            self._restart.cancel()
        dead, self._process = self._process, None
        self.deaths += 1
        self._stage.forget()
        if dead is not None:
            dead.kill()
            self._restart = asyncio.get_running_loop().create_task(self._start_again(dead))

    async def _start_again(self, dead: Process) -> None:
        for consumer in dead.consumers:
            await consumer.close()
        await self.start()

    async def close(self, patience: float) -> None:
        """Kill the process, wait (at most so many real seconds) for cancelled handlers, close all resources."""
        if self._restart is not None:
            self._restart.cancel()
        ending: list[asyncio.Future[None]] = [self._restart] if self._restart is not None else []
        if self._process is not None:
            ending += self._process.jobs
            self._process.kill()
        ending += self._stage.forget()
        if ending:
            await asyncio.wait(ending, timeout=patience)
        async with AsyncExitStack() as closing:
            for stack in self._stacks:
                closing.push_async_exit(stack)
