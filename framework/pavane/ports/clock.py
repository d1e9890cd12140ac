"""Time as the runtime sees it: the real clock in production, one that tests move in the harness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """A callback that `Clock.call_at` has promised to make."""

    def cancel(self) -> None:
        """Do not call it any more. Idempotent, also after it was called."""
        ...


class Clock(Protocol):
    """A source of time and of waiting.

    Leases and timers are judged by the store's own clock; this one bounds what happens inside a process.
    """

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def call_at(self, at: int, callback: Callable[[], None]) -> Alarm:
        """Call `callback` on the event loop at or after `at` (milliseconds since the epoch), once."""
        ...

    async def sleep(self, duration: int) -> None:
        """Wait `duration` milliseconds of this clock."""
        ...
