"""Bugs in how a process uses the broker. What is wrong with each, the checker has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.envelope import event_headers
from pavane.core.record import EventRow
from pavane.errors import BrokerUnavailable
from pavane.ports.broker import Address, Delivery, Message, Subscription, ToDeadLetters, ToSubscribers
from tests.planted.ports import NEVER_OLD, Culprit


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
