"""The clock of the test kit: it stands still until the harness moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable


class VirtualAlarm:
    """See `pavane.ports.clock.Alarm`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """`pavane.ports.Clock` on a number. Alarms of one time ring in the order in which they were asked for."""

    def __init__(self, now: int) -> None:
        """Args:
        now: where it begins, in milliseconds since the epoch.
        """
        self._now = now
        self._serial = itertools.count()
        self._alarms: list[tuple[int, int, VirtualAlarm]] = []
        self.asked = 0
        """How often anybody has asked for an alarm: tells that something goes on."""

    def now(self) -> int:
        return self._now

    def call_at(self, at: int, callback: Callable[[], None]) -> VirtualAlarm:
        self.asked += 1
        alarm = VirtualAlarm(callback)
        heapq.heappush(self._alarms, (at, next(self._serial), alarm))
        return alarm

    async def sleep(self, duration: int) -> None:
        over = asyncio.Event()
        alarm = self.call_at(self._now + max(0, duration), over.set)
        try:
            await over.wait()
        finally:
            alarm.cancel()

    # for whoever moves it

    def next_at(self) -> int | None:
        """The time of the next alarm; `None`: there is none."""
        while self._alarms and self._alarms[0][2].callback is None:
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def move_to(self, at: int) -> None:
        """Set it forward. What is due then rings at the next `ring`."""
        self._now = max(self._now, at)

    def ring(self) -> bool:
        """Let every alarm ring whose time has come. Says whether any did."""
        due: list[VirtualAlarm] = []
        while (at := self.next_at()) is not None and at <= self._now:
            due.append(heapq.heappop(self._alarms)[2])
        for alarm in due:
            # One that rings may cancel those behind it.
            if alarm.callback is not None:
                alarm.callback()
        return bool(due)


class ReadersClock:
    """What a client waits by: nobody else moves the clock while a test waits, so its waiting does."""

    def __init__(self, clock: VirtualClock, move: Callable[[int], Awaitable[None]]) -> None:
        """Args:
        move: lets so many milliseconds pass.
        """
        self._clock = clock
        self._move = move

    def now(self) -> int:
        return self._clock.now()

    def call_at(self, at: int, callback: Callable[[], None]) -> VirtualAlarm:
        return self._clock.call_at(at, callback)

    async def sleep(self, duration: int) -> None:
        await self._move(max(0, duration))
