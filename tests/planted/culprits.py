"""Bugs in the ports. Each says what it does wrong; what is wrong with that, the checker has to say."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.envelope import event_headers
from pavane.core.record import EventRow, Record
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Address, Delivery, Message, Subscription, ToDeadLetters, ToSubscribers
from pavane.ports.store import Tick
from tests.planted.ports import Culprit

NEVER_OLD = 2**30
"""A generation that no job ever has: a copy that claims it is never taken for an old one."""


class NoFence(Culprit):
    """A commit is accepted whatever its token: the present holder's is put in its place."""

    inside = True

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        record: Record | None = await self.store.read(call.record)
        row = record.steps.get(call.step) if record else None
        token = row.work.token or row.work.ended_token if row else 0
        return await self.store.commit(replace(call, token=token or call.token))


class AckBeforePublish(Culprit):
    """A delivery is acknowledged before what it caused is confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self._unsettled: dict[int, Delivery] = {}

    async def broker_consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        def received(delivery: Delivery) -> None:
            self._unsettled[id(delivery)] = delivery
            receive(delivery)

        return await self.broker.consume(queue, prefetch=prefetch, receive=received)

    async def broker_publish(self, message: Message, to: Address) -> None:
        causes = {message.headers.get("causationid"), message.headers.get("cloudEvents_id")}
        for key, delivery in list(self._unsettled.items()):
            if delivery.message.headers.get("cloudEvents_id") in causes:
                del self._unsettled[key]
                delivery.ack()
        await self.broker.publish(message, to)


class PublishBeforeCommit(Culprit):
    """A step's events are published when its handler has returned them, and then committed."""

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        await self.publish(call.record, call.events)
        return await self.store.commit(call)

    async def publish(self, record: str, events: tuple[EventRow, ...]) -> None:
        run = "" if record.startswith("~") else record
        for event in events:
            message = Message(body=event.payload, headers=event_headers(event, run))
            await self.broker.publish(message, ToSubscribers(event.name))


class LateEventsPublished(PublishBeforeCommit):
    """The events of a step that commits in a failing run are published like any others."""

    async def store_commit(self, call: c.Commit) -> a.CommitAnswer:
        answer: a.CommitAnswer = await self.store.commit(call)
        if isinstance(answer, a.Late):
            await self.publish(call.record, call.events)
        return answer


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


class HeaderTrustedAttempts(Culprit):
    """Attempts are counted by what a delivery's headers claim, its deliveries among them, instead of in the record."""

    inside = True

    def __init__(self) -> None:
        super().__init__()
        self._delivered: dict[object, int] = {}
        self._claimed: dict[tuple[str, str], int] = {}

    async def broker_consume(
        self, queue: str, *, prefetch: int, receive: Callable[[Delivery], None]
    ) -> Subscription:
        def received(delivery: Delivery) -> None:
            self._delivered[delivery.message.headers.get("cloudEvents_id")] = delivery.delivery_count
            receive(delivery)

        return await self.broker.consume(queue, prefetch=prefetch, receive=received)

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        counted = self._delivered.get(call.step.partition(":")[2], 0)
        self._claimed[call.step, call.kind] = call.generation + counted
        return await self.store.begin(call)

    async def store_fail(self, call: c.Fail) -> a.FailAnswer:
        spent = self._claimed.get((call.step, call.kind), 0) + 1 >= call.max_attempts
        return await self.store.fail(replace(call, max_attempts=1 if spent else NEVER_OLD))


class LeaseOnWorkerClock(Culprit):
    """A lease is over when the worker's own clock says so, and then it is taken."""

    inside = True

    async def store_begin(self, call: c.Begin) -> a.BeginAnswer:
        answer: a.BeginAnswer = await self.store.begin(call)
        if not isinstance(answer, a.Leased):
            return answer
        now = await self.store.now()
        if now + answer.remaining > time.time() * 1000:
            return answer
        self.take(call)
        return await self.store.begin(call)

    def take(self, call: c.Begin) -> None:
        """A store in memory can be written on."""
        record: Record = self.store._server._records[call.record]
        work = record.steps[call.step].of(call.kind)
        if work is not None:
            work.lease_until = 0


class ConfirmIgnored(Culprit):
    """A publish that was not confirmed in time is taken for one that was."""

    async def broker_publish(self, message: Message, to: Address) -> None:
        try:
            await self.broker.publish(message, to)
        except BrokerUnavailable:
            return


class LettersDropped(Culprit):
    """A dead letter is indexed, and never sent to its queue."""

    async def broker_publish(self, message: Message, to: Address) -> None:
        if not isinstance(to, ToDeadLetters):
            await self.broker.publish(message, to)


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
