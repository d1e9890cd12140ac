"""The real clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pavane.ports.clock import Alarm


class SystemClock:
    """`pavane.ports.Clock` on the event loop's own time. Alarms follow monotonic time, so a clock that is set
    changes none that was asked for before."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def call_at(self, at: int, callback: Callable[[], None]) -> Alarm:
        # One millisecond more, so that `now()` has reached `at` when the callback asks.
        return asyncio.get_running_loop().call_later(max(0, at - self.now() + 1) / 1000, callback)

    async def sleep(self, duration: int) -> None:
        await asyncio.sleep(max(0, duration) / 1000)
