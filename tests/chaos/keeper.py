"""Keeps one service running: kills its process as planned and starts it again, as whoever operates it would."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.marks import VARIABLE, inside
from tests.chaos.outages import Outages
from tests.chaos.plan import AIM
from tests.chaos.readiness import gets_ready
from tests.crash.workers import WorkerProcess

READY_WITHIN = 90.0
"""Seconds that a process may take on a busy machine before it counts as one that hangs."""

STOPPED_WITHIN = 45.0
LOOKED_EVERY = 0.02
PAUSE = 0.5
"""Seconds between the end of a process that nobody killed and the next one."""

FOR_EVER = 36_000.0


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, and the jobs whose handlers it hit."""

    service: str
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Exit:
    """A process that ended by itself, with the end of its log.

    Attributes:
        excused: a server was away before it was ready: nobody can start on a broker that is not there. One
            that is ready has to live through any outage.
    """

    service: str
    code: int
    excused: bool
    last_words: str


class Keeper:
    """One service.

    Args:
        delays: for each kill, seconds after the process was ready.
        folder: of marks and logs.

    Attributes:
        ready: set when the first process is ready.
        war: set it to begin with the kills.
        peace: set after the last kill, when the process after it is ready.
        startups: seconds that each process took to be ready.
    """

    def __init__(
        self,
        service: str,
        environment: Mapping[str, str],
        delays: Sequence[float],
        folder: Path,
        outages: Outages,
    ) -> None:
        self.service = service
        self.kills: list[Kill] = []
        self.exits: list[Exit] = []
        self.ready = asyncio.Event()
        self.war = asyncio.Event()
        self.peace = asyncio.Event()
        self.startups: list[float] = []
        self._environment = dict(environment)
        self._delays = delays
        self._folder = folder
        self._outages = outages
        self._launches = 0
        self._process: WorkerProcess | None = None

    async def run(self) -> None:
        """Keep it running for ever; cancel this, then `stop`.

        Raises:
            Hangs: a process is not ready in time.
        """
        while True:
            process, marks, launched = await self._launch()
            gone = asyncio.create_task(process.ended(FOR_EVER))
            try:
                is_ready = await gets_ready(process, self.service, READY_WITHIN)
                if is_ready:
                    self.ready.set()
                    self.startups.append(time.monotonic() - launched)
                killed = is_ready and await self._kill(process, gone, marks)
                await gone
            finally:
                gone.cancel()
            await self._bury(process)
            if killed:
                self.kills.append(Kill(self.service, tuple(inside(marks))))
            else:
                self._note_exit(process, excused=not is_ready and self._outages.any_since(launched))
                await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """End the process in order; one that does not end well is noted. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.send(signal.SIGTERM)
            try:
                await process.ended(STOPPED_WITHIN)
            except AssertionError:
                process.send(signal.SIGKILL)
        await self._bury(process)
        if process.returncode:
            self._note_exit(process, excused=False)

    async def close(self) -> None:
        """End the process, whatever it does. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            await self._bury(process)

    async def _launch(self) -> tuple[WorkerProcess, Path, float]:
        launched = time.monotonic()
        self._launches += 1
        marks = self._folder / f"{self.service}.{self._launches:02}.marks"
        environment = self._environment | {VARIABLE: str(marks)}
        self._process = WorkerProcess(environment, self.service, module="tests.chaos.service")
        return await self._process.launch(), marks, launched

    async def _kill(self, process: WorkerProcess, gone: asyncio.Task[int], marks: Path) -> bool:
        """Kill it in its time; `False`: it ended before, or its time never comes."""
        if len(self.kills) == len(self._delays):
            self.peace.set()
            return False
        await self.war.wait()
        await asyncio.wait({gone}, timeout=self._delays[len(self.kills)])
        give_up = time.monotonic() + (AIM if len(self.kills) % 2 else 0.0)
        while not gone.done() and not inside(marks) and time.monotonic() < give_up:
            await asyncio.wait({gone}, timeout=LOOKED_EVERY)
        if gone.done():
            return False
        process.send(signal.SIGKILL)
        return True

    async def _bury(self, process: WorkerProcess) -> None:
        await process.close()
        (self._folder / f"{self.service}.{self._launches:02}.log").write_text(f"{process.log}\n")

    def _note_exit(self, process: WorkerProcess, *, excused: bool) -> None:
        self.exits.append(Exit(self.service, process.returncode or 0, excused, process.log[-2000:]))
