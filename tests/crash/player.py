"""Plays the cells of the matrix side by side, each in a namespace of its own on shared servers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from tests.crash.matrix import Cell

AT_ONCE = 3
WAITING_AT_ONCE = 10


class Player(threading.Thread):
    """Plays cells on an event loop of its own, a few at once; those that mostly wait take nobody's turn.

    Attributes:
        outcomes: by the cell's name, the seconds it took, or what was wrong.
    """

    def __init__(self, cells: Sequence[Cell], broker: str, state: str, folder: Path) -> None:
        super().__init__(name="crash cells")
        self.outcomes: dict[str, Future[float]] = {cell.name: Future() for cell in cells}
        self._cells = sorted(cells, key=lambda cell: not cell.waits)
        self._place = (broker, state, folder)
        self._loop = asyncio.new_event_loop()
        self._all: asyncio.Task[None] | None = None

    def run(self) -> None:
        self._all = self._loop.create_task(self._play_all())
        try:
            self._loop.run_until_complete(self._all)
        except asyncio.CancelledError:
            return
        finally:
            self._loop.close()

    def finish(self) -> None:
        """Stop what is still being played, and its processes."""
        if self.is_alive() and self._all is not None:
            self._loop.call_soon_threadsafe(self._all.cancel)
        self.join()

    async def _play_all(self) -> None:
        turns, waiters = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(WAITING_AT_ONCE)
        await asyncio.gather(*(self._play(cell, waiters if cell.waits else turns) for cell in self._cells))

    async def _play(self, cell: Cell, turns: asyncio.Semaphore) -> None:
        outcome = self.outcomes[cell.name]
        try:
            async with turns:
                started = time.monotonic()
                await cell.play(*self._place)
                outcome.set_result(time.monotonic() - started)
        except BaseException as error:
            outcome.set_exception(error)
            if not isinstance(error, Exception):
                raise
