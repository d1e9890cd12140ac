"""A process per service: started, waited for until it is ready, and stopped by its id."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress

READY_IN = 60.0
"""Seconds that a service may take until its consumers exist on the broker."""

STOPPED_IN = 35.0
"""Seconds that a service may take to stop: its grace period, and a little more."""

LINES_KEPT, LONGEST_LINE = 20, 2**20


class ServiceFailed(Exception):
    """A service's process ended, or did not get ready; with the last lines that it said."""


class ServiceProcess:
    """One service, `python -m services.<name>`. What it says on stderr is kept, the last lines of it."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self._process = process
        self._ready = asyncio.Event()
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, name: str, environment: Mapping[str, str]) -> ServiceProcess:
        command = (sys.executable, "-m", f"services.{name}")
        # In a session of its own, so that Ctrl-C reaches only the demo, which then stops its services in order.
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **environment},
            stderr=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        return cls(name, process)

    async def ready(self) -> None:
        """Return when its consumers exist on the broker.

        Raises:
            ServiceFailed: it has ended, or takes too long.
        """
        waiting = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait((waiting, self._reading), timeout=READY_IN, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._ready.is_set():
            raise ServiceFailed("\n".join([f"The {self.name} service did not get ready.", *self._lines]))

    async def stop(self) -> None:
        """Ask it to stop, and end it if it does not. Idempotent."""
        with suppress(ProcessLookupError):  # it has ended already
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOPPED_IN)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            if text == "ready":
                self._ready.set()


class ServiceProcesses:
    """The processes of all services."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._processes: list[ServiceProcess] = []

    async def start(self, environment: Mapping[str, str]) -> None:
        """Return when all are ready: an event that nobody has subscribed to yet would go nowhere.

        The first service is ready before the others start: it subscribes to pavane's own events, and the
        others look at their start who does.

        Raises:
            ServiceFailed: one of them did not get ready.
        """
        first, *others = self._names
        await self._start([first], environment)
        await self._start(others, environment)

    async def _start(self, names: Sequence[str], environment: Mapping[str, str]) -> None:
        started = [await ServiceProcess.start(name, environment) for name in names]
        self._processes += started
        for process in started:
            await process.ready()

    async def stop(self) -> None:
        """Stop all that were started. Idempotent."""
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()
