"""An event loop in a thread of its own: what runs there goes on while the test's own loop is busy or blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")

ANSWERED_WITHIN = 10.0


class LoopThread:
    """Use it as a context; several proxies share one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work in the loop, from any other thread; what it returns, or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWERED_WITHIN)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ANSWERED_WITHIN)
        self._loop.close()
