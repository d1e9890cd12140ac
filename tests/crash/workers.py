"""Real worker processes: started, awaited, killed, frozen, and gone when the test ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 60.0


class WorkerProcess:
    """`tests.crash.program` in a process of its own, with these variables and only these workers.

    Args:
        environment: `PAVANE_*` variables; none is inherited.
        only: names of workers or services; none: all.
        module: another program.
    """

    def __init__(
        self, environment: Mapping[str, str], *only: str, module: str = "tests.crash.program"
    ) -> None:
        self._command = [sys.executable, "-m", module, *only]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
        self._environment = inherited | dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self.lines: list[str] = []

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def returncode(self) -> int | None:
        return self._running().returncode

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    async def launch(self) -> Self:
        """Start without waiting for anything."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        return self

    async def start(self) -> Self:
        """Start, and return when its consumers exist on the broker."""
        await self.launch()
        await self.says("ready", READY_WITHIN, whole=True)
        return self

    async def says(self, text: str, within: float = 20.0, *, whole: bool = False, after: int = 0) -> str:
        """Wait for a line of its log that contains `text` (or is it, if `whole`), from line `after` on."""

        def found() -> str | None:
            lines = self.lines[after:]
            return next((line for line in lines if (line == text if whole else text in line)), None)

        async with self._news:
            await wait_until(self._news, lambda: found() or self._over(), within)
        if (line := found()) is None:
            raise AssertionError(
                f"no {text!r} in its log within {within:g} s (exit {self.returncode}):\n{self.log}"
            )
        return line

    async def ended(self, within: float = 30.0) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        try:
            return await asyncio.wait_for(self._running().wait(), within)
        except TimeoutError:
            raise AssertionError(
                f"process {self.pid} has not ended within {within:g} s:\n{self.log}"
            ) from None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self, within: float = 40.0) -> float:
        """SIGTERM, and wait; the seconds it took."""
        started = time.monotonic()
        self.send(signal.SIGTERM)
        assert await self.ended(within) == 0, self.log
        return time.monotonic() - started

    async def kill(self) -> None:
        """SIGKILL, and wait."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def close(self) -> None:
        """End it, whatever it does. Idempotent."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if error is not None:
            print(f"--- log of process {self.pid} (exit {self.returncode})\n{self.log[-6000:]}")

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it was not started"
        return self._process

    def _over(self) -> bool:
        return self._reader is not None and self._reader.done()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip())
            async with self._news:
                self._news.notify_all()
        async with self._news:
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self._tell())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


async def wait_until(news: asyncio.Condition, true: object, within: float) -> None:
    """Wait on a condition that is held until `true()`, or the time is over."""
    assert callable(true)
    try:
        await asyncio.wait_for(news.wait_for(true), within)
    except TimeoutError:
        return
