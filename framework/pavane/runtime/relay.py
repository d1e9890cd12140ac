"""The safety net: publishes what others left in the outbox, fires timers, passes deadlines, marks idle runs.

Without it, an event whose process died before publishing would wait for its redelivery, and no timer would
fire. Shards are shared out between processes by short locks, for economy, not for safety: two relays on one
shard publish an event twice, and receivers fold it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict

from pavane.core.answers import Publication
from pavane.errors import InfrastructureError
from pavane.ports.clock import Alarm
from pavane.runtime.crew import Crew

POLL_EVERY = 5_000
"""Milliseconds between two looks at a claimed shard that has nothing due."""

CLAIM_FOR = 20_000
RENEW_EVERY = 15_000
"""With 16 shards, claims and looks are about 17 commands a second, those inside the scripts counted.

A shard of somebody else is asked for at every look: what a dead relay left waits for at most 25 s.
"""

log = logging.getLogger("pavane")


class Relay:
    """Ticks shards: those it has claimed every 5 s, any shard at the due times that this process has written.

    `alone` says that no other process shares the store: then nothing is claimed or polled.
    """

    def __init__(self, crew: Crew, *, alone: bool = False) -> None:
        self._crew = crew
        self._alone = alone
        self._due: dict[int, int] = {}
        self._claimed: set[int] = set()
        self._next_claim = 0
        self._next_renewal = 0
        self._alarm: Alarm | None = None
        self._alarm_at = 0
        self._ring = asyncio.Event()
        self._looking = False
        self._working: set[asyncio.Task[None]] = set()
        crew.store.on_due(self._want)

    def _want(self, shard: int, at: int) -> None:
        """Look at a shard at `at`, unless it will be looked at before."""
        if at < self._due.get(shard, at + 1):
            self._due[shard] = at
            if not self._alarm_at or at < self._alarm_at:
                self._set_alarm(at)

    def _set_alarm(self, at: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._crew.clock.call_at(at, self._ring.set)

    async def run(self) -> None:
        """Work until cancelled. An outage is waited out; what is due then is late, not lost."""
        self._ring.set()
        while True:
            await self._ring.wait()
            self._ring.clear()
            self._alarm_at = 0
            self._looking = True
            try:
                await self._claim()
                await self._tick_due()
                self._sleep()
            except InfrastructureError as error:
                self._crew.patience.noticed("state", error)
                self._set_alarm(self._crew.clock.now() + POLL_EVERY)
            except Exception:
                # A net with a hole is mended by the next look; one that is gone would be missed by nobody.
                log.exception("the relay failed, and looks again in %g s", POLL_EVERY / 1000)
                self._set_alarm(self._crew.clock.now() + POLL_EVERY)
            else:
                self._crew.patience.answered("state")
            finally:
                self._looking = False

    def _sleep(self) -> None:
        times = list(self._due.values())
        if not self._alone:
            times.append(self._next_claim)
        if times and (not self._alarm_at or min(times) < self._alarm_at):
            self._set_alarm(min(times))

    async def _claim(self) -> None:
        """Keep the shards this process has, and take those that nobody has."""
        now = self._crew.clock.now()
        if now < self._next_claim:
            return
        self._next_claim = now + (RENEW_EVERY if self._alone else POLL_EVERY)
        shards = set(range(self._crew.store.shards))
        if self._alone:
            self._claimed = taken = shards
        elif now >= self._next_renewal:
            self._next_renewal = now + RENEW_EVERY
            self._claimed = taken = await self._taken(shards)
        else:
            taken = await self._taken(shards - self._claimed)
            self._claimed |= taken
        for shard in taken:
            # At once, whatever this process has written: those times are the store's, whose clock may be hours ahead.
            self._due[shard] = min(now, self._due.get(shard, now))

    async def _taken(self, shards: set[int]) -> set[int]:
        """Those of these shards that this process has from now on."""
        wanted = sorted(shards)
        tokens = await asyncio.gather(
            *(self._crew.store.claim(f"relay.{shard}", self._crew.nonce, CLAIM_FOR) for shard in wanted)
        )
        return {shard for shard, token in zip(wanted, tokens, strict=True) if token}

    async def _tick_due(self) -> None:
        now = self._crew.clock.now()
        due = [shard for shard, at in self._due.items() if at <= now]
        if len(due) == 1:
            await self._tick(due[0])
        elif due:
            await asyncio.gather(*(self._tick(shard) for shard in due))

    async def _tick(self, shard: int) -> None:
        at = self._due.pop(shard)
        try:
            tick = await self._crew.store.tick(shard, subscribed=self._crew.subscriptions.framework)
        except InfrastructureError:
            self._due.setdefault(shard, at)  # still due when the store answers again
            raise
        if tick.next_due:
            # The store's clock may differ from this one's: only the difference of its times is used.
            self._want(shard, self._crew.clock.now() + max(0, tick.next_due - tick.now))
        if shard in self._claimed and not self._alone:
            self._want(shard, self._crew.clock.now() + POLL_EVERY)
        by_record: dict[str, list[Publication]] = defaultdict(list)
        for row in tick.rows:
            by_record[row.record].append(row)
        if by_record:
            self._crew.passed("relay_tick", "", "step")
        for record, rows in by_record.items():
            self._publish(record, rows)

    def _publish(self, record: str, rows: list[Publication]) -> None:
        """Publish in the background: one record that waits for the broker holds no shard up."""
        task = asyncio.get_running_loop().create_task(self._publish_rows(record, rows))
        self._working.add(task)
        task.add_done_callback(self._done)

    async def _publish_rows(self, record: str, rows: list[Publication]) -> None:
        crew = self._crew
        await crew.outbox.publish(record, rows, marked=lambda: crew.passed("relay_mark", "", "step"))
        crew.passed("relay_publish", "", "step")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("the relay could not publish: %s", task.exception())

    @property
    def busy(self) -> bool:
        """Whether it is publishing, or about to look at a shard."""
        return bool(self._working) or self._looking or self._ring.is_set()

    def kill(self) -> None:
        """End its work at once, without a word to anybody."""
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._working:
            task.cancel()

    async def close(self) -> None:
        """Let go of the shards, so that others need not wait for the locks to run out."""
        self.kill()
        await asyncio.gather(*self._working, return_exceptions=True)
        if not self._alone:
            await asyncio.gather(
                *(self._crew.store.disclaim(f"relay.{shard}", self._crew.nonce) for shard in self._claimed)
            )
