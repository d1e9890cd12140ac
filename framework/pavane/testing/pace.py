"""How the harness lets things happen: all that can happen now, then the clock moves to what is due next.

Nothing here sleeps. Whether anything goes on is read from queues, tasks and counters between turns of the
event loop; only a handler that runs is waited for in real time, because only it knows when it ends.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pavane.testing.clock import VirtualClock
from pavane.testing.life import Life
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.stage import Running, Stage

IDLE_TURNS: Final = 3
"""Turns of the loop without any sign of life after which nothing goes on, where nothing is there to go on."""

WAITING_TURNS: Final = 25
"""The same where jobs are there that seem to wait for the clock. Between two signs of life a job needs five
turns at most (see the tests), so this is generous."""

MOST_TURNS: Final = 100_000
"""Turns of the loop with signs of life at one time of the clock after which it is said that this never ends. A
thousand runs of four steps, all at one time, need six thousand."""


class Pace:
    """Brings the process to rest, and moves the clock between two rests. One caller at a time."""

    def __init__(
        self,
        clock: VirtualClock,
        life: Life,
        stage: Stage,
        store: ObservedStore,
        broker: ObservedBroker,
        patience: float,
    ) -> None:
        self._clock = clock
        self._life = life
        self._stage = stage
        self._store = store
        self._broker = broker
        self._patience = patience
        self.turn = asyncio.Lock()
        """Held while somebody brings the process to rest or moves the clock."""
        self.quietest = 0
        """The most turns without a sign of life after which there was one all the same."""

    async def rest(self, *, strict: bool) -> None:
        """Return when all that can happen at this time has happened.

        Raises:
            AssertionError: with `strict`, a handler has run for longer than the patience; handlers never come
                to rest.
        """
        quiet = lively = 0
        while True:
            before = self.signs()
            await asyncio.sleep(0)
            if self._clock.ring() or self.signs() != before:
                self.quietest = max(self.quietest, quiet)
                quiet, lively = 0, lively + 1
                if lively > MOST_TURNS:
                    raise AssertionError(self._never_ends())
                continue
            quiet += 1
            if quiet < IDLE_TURNS or (quiet < WAITING_TURNS and self._busy()):
                continue
            self._life.check()
            if not await self._wait_for_handlers(strict):
                return
            quiet = 0

    def signs(self) -> tuple[int, ...]:
        """Changes whenever anything happens."""
        return (
            self._store.asked,
            self._broker.asked,
            self._clock.asked,
            self._stage.called,
            len(self._stage.running),
            self._life.deaths,
        )

    def _busy(self) -> bool:
        """Whether there is anything that may go on, or may wait for the clock: from outside both look the same."""
        return self._life.busy or self._broker.deliverable > 0

    def _never_ends(self) -> str:
        return (
            f"There were {self._stage.called} calls of handlers, and the clock stands still: this never comes "
            f"to rest. Running now: {', '.join(map(str, self._stage.running)) or 'no handler'}."
        )

    async def _wait_for_handlers(self, strict: bool) -> bool:
        """Wait until a handler ends that may still run; `False`: there is none."""
        running = self._stage.running
        now = time.monotonic()
        slow = [call for call in running if now - call.since >= self._patience]
        if slow and strict:
            raise AssertionError(still_running(slow, self._patience))
        awaited = [call for call in running if call not in slow]
        if not awaited:
            return await self._wait_for_start(strict)
        left = min(call.since for call in awaited) + self._patience - now
        await asyncio.wait(
            [call.ended for call in running], timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        return True

    async def _wait_for_start(self, strict: bool) -> bool:
        """A new process that comes up may open resources in real time, unless it waits for the clock."""
        if not self._life.opening:
            return False
        if await self._life.opened(self._patience):
            return True
        if strict:
            raise AssertionError(f"A lifespan takes longer than {self._patience:g} s to open.")
        return False

    async def move(self, until: int | None = None) -> bool:
        """Move the clock to the next time at which anything is due, at most to `until`; `False`: nothing is."""
        at = self._clock.next_at()
        if at is None or (until is not None and at > until):
            return False
        self._clock.move_to(at)
        await self.rest(strict=False)
        return True

    async def pass_time(self, duration: int) -> None:
        """Let so many milliseconds pass, stopping at everything that is due in them."""
        async with self.turn:
            end = self._clock.now() + duration
            await self.rest(strict=False)
            while await self.move(end):
                pass
            self._clock.move_to(end)
            await self.rest(strict=False)


def still_running(slow: list[Running], patience: float) -> str:
    """What to tell of handlers that do not end."""
    one = len(slow) == 1
    return (
        f"{', '.join(map(str, slow))} {'is' if one else 'are'} still running after {patience:g} s of real time, "
        "the harness's patience. Does it wait for something that only a later time brings? `advance` goes on "
        "while it runs, so that its timeout can be tested; `patience=` waits longer."
    )
