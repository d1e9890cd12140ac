"""The processes, kept running as whoever operates them would; each reaches the servers through proxies of its own."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.readiness import gets_ready
from tests.chaos.storm.worker import Cast
from tests.checker.history import History
from tests.crash.workers import WorkerProcess
from tests.proxy import AmqpProxy, RedisProxy

PROGRAM = "tests.chaos.storm.worker"
READY_WITHIN = 120.0
"""Seconds on a busy machine, with a broker that comes and goes."""

STOPPED_WITHIN = 60.0
PAUSE = 0.3


@dataclass(frozen=True)
class Exit:
    """A process that ended by itself, with the end of its log."""

    name: str
    code: int
    last_words: str


class Replica:
    """One of the processes: the one that runs, and after it the next one.

    Args:
        was_disturbed: whether any fault struck since a moment of the monotonic clock: then a process may fail to
            start, and nobody wonders. One that is ready has to live through everything but a kill.

    Attributes:
        ready: set while a process consumes.
        busy: held by whatever kills, freezes or replaces it.
        exits: processes that ended by themselves and had no right to.
        startups: seconds that each took to be ready.
    """

    def __init__(
        self,
        name: str,
        cast: Cast,
        environment: Mapping[str, str],
        proxies: tuple[AmqpProxy, RedisProxy],
        history: History,
        folder: Path,
        was_disturbed: Callable[[float], bool],
    ) -> None:
        self.name = name
        self.cast: Cast = cast
        self.amqp, self.redis = proxies
        self.ready = asyncio.Event()
        self.busy = asyncio.Lock()
        self.exits: list[Exit] = []
        self.startups: list[float] = []
        self._environment = {
            **environment,
            "PAVANE_BROKER_URL": self.amqp.url,
            "PAVANE_STATE_URL": self.redis.url,
        }
        self._history = history
        self._folder = folder
        self._was_disturbed = was_disturbed
        self._process: WorkerProcess | None = None
        self._meant_to_end = False
        self._launches = 0

    @property
    def proxies(self) -> tuple[AmqpProxy, RedisProxy]:
        return self.amqp, self.redis

    async def run(self) -> None:
        """Keep it running for ever; cancel this, then `stop`.

        Raises:
            Hangs: a process is not ready in time.
        """
        while True:
            launched = time.monotonic()
            self._launches += 1
            self._meant_to_end = False
            process = self._process = WorkerProcess(self._environment, self.cast, self.name, module=PROGRAM)
            await process.launch()
            gone = asyncio.create_task(process.ended(READY_WITHIN * 1000))
            try:
                if await gets_ready(process, self.name, READY_WITHIN):
                    self.startups.append(time.monotonic() - launched)
                    self.ready.set()
                await gone
            finally:
                self.ready.clear()
                gone.cancel()
            await self._bury(process, launched)
            await asyncio.sleep(PAUSE)

    async def kill(self) -> None:
        """SIGKILL; return when another one is ready."""
        async with self.busy:
            await self._end(signal.SIGKILL)

    async def replace(self) -> float:
        """SIGTERM, and another one as soon as it has ended; the seconds that the end took."""
        async with self.busy:
            return await self._end(signal.SIGTERM)

    async def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        async with self.busy:
            await self.ready.wait()
            process = self._running()
            process.send(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                with suppress(ProcessLookupError):
                    process.send(signal.SIGCONT)

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
        await process.close()
        self._write_log(process)
        if process.returncode:
            self.exits.append(Exit(self.name, process.returncode, process.log[-3000:]))

    async def close(self) -> None:
        """End the process, whatever it does. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            await process.close()
            self._write_log(process)

    async def _end(self, how: signal.Signals) -> float:
        await self.ready.wait()
        process, began = self._running(), time.monotonic()
        self._meant_to_end = True
        self.ready.clear()
        process.send(how)
        await process.ended(STOPPED_WITHIN)
        took = time.monotonic() - began
        await self.ready.wait()
        return took

    async def _bury(self, process: WorkerProcess, launched: float) -> None:
        await process.close()
        self._write_log(process)
        code = process.returncode or 0
        killed = code == -signal.SIGKILL
        told = {"what": "killed" if killed else "ended", "who": f"{self.name}-{process.pid}", "code": code}
        self._history.note("ok", "process", detail=told)
        was_ready = len(self.startups) > 0 and "ready" in process.lines
        excused = self._meant_to_end or (not was_ready and self._was_disturbed(launched))
        if not excused or (self._meant_to_end and not killed and code):
            self.exits.append(Exit(self.name, code, process.log[-3000:]))

    def _write_log(self, process: WorkerProcess) -> None:
        (self._folder / f"{self.name}.{self._launches:02}.log").write_text(f"{process.log}\n")

    def _running(self) -> WorkerProcess:
        assert self._process is not None, f"{self.name} was not started"
        return self._process
