"""The real clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pavane.ports.clock import Alarm


class SystemClock:
    """`pavane.ports.Clock` on the event loop's own time, right as far as the machine's clock was right at first.

    From then on it follows monotonic time: a clock that is set while a process runs would else cut its handlers
    short, or let its relay sleep for as long as the clock was set back.
    """

    def __init__(self) -> None:
        self._ahead = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        return (time.monotonic_ns() + self._ahead) // 1_000_000

    def call_at(self, at: int, callback: Callable[[], None]) -> Alarm:
        # One millisecond more, so that `now()` has reached `at` when the callback asks.
        return asyncio.get_running_loop().call_later(max(0, at - self.now() + 1) / 1000, callback)

    async def sleep(self, duration: int) -> None:
        await asyncio.sleep(max(0, duration) / 1000)
