"""Bugs in what a process asks of the store, or in how that answers. What is wrong with each, the checker has to say."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.record import Record
from pavane.ports.store import Handed, Tick
from tests.planted.ports import NEVER_OLD, Culprit

AHEAD = 1_500
"""Milliseconds that the worker's clock is ahead of the store's, beside what a tier may set it to."""


class NoFence(Culprit):
    """A commit is accepted whatever its token: the present holder's is put in its place."""

    inside = True

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        record: Record | None = await self.store.read(call.record)
        row = record.steps.get(call.step) if record else None
        token = row.work.token or row.work.ended_token if row else 0
        return await self.store.commit(replace(call, token=token or call.token))


class CopiesAreNotCompared(Culprit):
    """Nobody asks which generation a delivery is of: an old retry copy is as good as the newest."""

    inside = True

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        return await self.store.begin(replace(call, generation=NEVER_OLD))


class RelayOff(Culprit):
    """Nobody looks at what is due."""

    inside = True

    async def store_tick(self, shard: int, *, limit: int = 100, subscribed: tuple[str, ...] = ()) -> Tick:
        return Tick(rows=(), next_due=0, now=await self.store.now())


class LeaseOnWorkerClock(Culprit):
    """A lease is over when the worker's own clock says so, and then it is taken."""

    inside = True

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        answer: a.BeginAnswer = await self.store.begin(call)
        if not isinstance(answer, a.Leased):
            return answer
        now = await self.store.now()
        if now + answer.remaining > time.time() * 1000 + AHEAD:
            return answer
        self.take(call)
        return await self.store.begin(call)

    def take(self, call: c.Begin) -> None:
        """A store in memory can be written on."""
        record: Record = self.store._server._records[call.record]
        work = record.steps[call.step].of(call.kind)
        if work is not None:
            work.lease_until = 0


class BeginIdShared(Culprit):
    """All deliveries of a job begin under one name, so that each is answered as the first."""

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        return await self.store.begin(replace(call, begin_id="begin"))


class TimersTooEarly(Culprit):
    """Timers are set in other units than they are asked in."""

    inside = True

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        timers = tuple(
            replace(timer, at=timer.at // 2) if timer.key in call.relative else timer for timer in call.timers
        )
        return await self.store.commit(replace(call, timers=timers))


class DataLost(Culprit):
    """Of the changes that a commit makes to its run's data, the first is not written."""

    inside = True

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        return await self.store.commit(replace(call, data=call.data[1:]))


class DelayLost(Culprit):
    """A failed job is tried again at once, whatever its policy says."""

    inside = True

    async def store_fail(self, call: c.Fail) -> a.FailAnswer:
        return await self.store.fail(replace(call, delay=0))


class HoldForgets(Culprit):
    """A delivery of a paused run is said to be held, and is not."""

    inside = True

    async def store_hold(self, call: c.Hold) -> a.HoldAnswer:
        return a.Held()


class StaleRead(Culprit):
    """Reads are answered by a replica that is one read behind."""

    inside = True

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, list[Record | None]] = {}

    async def store_read(self, record: str) -> Record | None:
        seen = self._seen.setdefault(record, [])
        seen.append(await self.store.read(record))
        return seen[max(0, len(seen) - 2)]


class HandedToNobody(Culprit):
    """What another service has to publish is left to nobody, and its delivery acknowledged all the same."""

    async def store_hand_over(self, service: str, rows: Collection[Handed]) -> None:
        """Nothing is written."""


class DuplicatesRunAgain(Culprit):
    """What is committed already is handed to its handler once more: no protection against duplicates."""

    inside = True

    def __init__(self) -> None:
        super().__init__()
        self._again = 0

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        answer: a.BeginAnswer = await self.store.begin(call)
        if not isinstance(answer, a.Committed) or call.kind == "undo" or call.join is not None:
            return answer
        self._again += 1
        now = await self.store.now()
        return a.Granted(
            token=NEVER_OLD + self._again,
            attempt=1,
            failures=0,
            last_delay=0,
            lease_until=now + call.lease,
            step_started_at=now,
            now=now,
        )

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        return a.Committed() if call.token > NEVER_OLD else await self.store.commit(call)
