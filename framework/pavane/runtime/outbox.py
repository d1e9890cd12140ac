"""Publishing what a transition has written: with confirm, then marked; an event nobody wants is marked too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from pavane.core.answers import Publication
from pavane.core.calls import CopyMark, Mark
from pavane.core.envelope import EDITED, copy_headers, event_headers, undo_headers
from pavane.core.topology import Names
from pavane.errors import InfrastructureError
from pavane.ports.broker import Address, Broker, Forbidden, Message, ToQueue, ToSubscribers, Unroutable
from pavane.ports.store import Handed, Store
from pavane.runtime.patience import Patience
from pavane.runtime.subscriptions import Subscriptions

T = TypeVar("T")

GATHER_FOR = 0.01
"""Seconds that marks may wait for others where a call costs a round trip. They may be late: the relay looks at
what is unmarked after 3 s. Together they cost one call for each shard instead of one for each event."""

log = logging.getLogger("pavane")


class Outbox:
    """Publishes outbox rows and marks them. A row that is not marked is published again by the relay.

    Marks are sent behind the caller's back: they need not be there before the delivery is acknowledged.
    """

    def __init__(
        self,
        store: Store,
        broker: Broker,
        subscriptions: Subscriptions,
        names: Names,
        patience: Patience | None = None,
        gather_for: float = 0.0,
        services: Collection[str] = (),
    ) -> None:
        """Args:
        services: whose rows are this process's own to publish, whatever the broker says of its user.
        patience: without it, `publish` raises what the broker or the store raises instead of waiting for it.
        gather_for: seconds that marks wait for others, to be written together.
        """
        self._store = store
        self._broker = broker
        self._subscriptions = subscriptions
        self._patience = patience
        self._names = names
        self._gather_for = gather_for
        self._services = frozenset(services)
        self._marks: list[tuple[Mark, Callable[[], None]]] = []
        self._marking: set[asyncio.Task[None]] = set()

    async def publish(
        self, record: str, rows: Sequence[Publication], *, marked: Callable[[], None] = lambda: None
    ) -> None:
        """Publish rows of one record, waiting for the broker as long as it takes, and mark them.

        `marked` is called once the mark is written, which is after this call has returned.
        """
        if not rows:
            return
        if len(rows) == 1:
            outcomes: list[str | BaseException] = [await self._publish(rows[0])]
        else:
            outcomes = await asyncio.gather(*(self._publish(row) for row in rows), return_exceptions=True)
        told = list(zip(rows, outcomes, strict=True))
        done = [(row.row, outcome) for row, outcome in told if isinstance(outcome, str)]
        self.mark(
            Mark(
                record=record,
                rows=tuple(row for row, outcome in done if outcome in ("published", "unrouted")),
                unrouted=tuple(row for row, outcome in done if outcome == "unrouted"),
                returned=tuple(row for row, outcome in done if outcome == "returned"),
                subscribed=self._subscriptions.framework,
            ),
            marked,
        )
        # Only now: a row that cannot be published must not keep the marks of the others.
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def mark(self, call: Mark, marked: Callable[[], None] = lambda: None) -> None:
        """Mark in the background, together with what else is to be marked by then.

        A mark that is lost costs a duplicate, which receivers fold.
        """
        self._marks.append((call, marked))
        if len(self._marks) == 1:
            task = asyncio.get_running_loop().create_task(self._mark_gathered())
            self._marking.add(task)
            task.add_done_callback(self._marking.discard)

    def mark_copy(self, record: str, copy: CopyMark) -> None:
        """Mark a retry copy or a letter."""
        self.mark(Mark(record=record, subscribed=self._subscriptions.framework, copies=(copy,)))

    @property
    def busy(self) -> bool:
        """Whether marks are on their way."""
        return bool(self._marking)

    def kill(self) -> None:
        """Drop the marks that are on their way."""
        for task in self._marking:
            task.cancel()

    async def drain(self) -> None:
        """Wait for the marks that are on their way."""
        while self._marking:
            await asyncio.gather(*self._marking)

    async def _mark_gathered(self) -> None:
        if self._gather_for:
            await asyncio.sleep(self._gather_for)
        marks, self._marks = self._marks, []
        try:
            await self._store.mark_all([call for call, _ in marks])
        except InfrastructureError as error:
            log.debug("%d marks are left to the relay: %s", len(marks), error)
            return
        for _, marked in marks:
            marked()

    async def _publish(self, row: Publication) -> str:
        """`published`, `unrouted` (nobody is registered for it), `returned` (somebody is), or `handed` over."""
        try:
            sent = await self._insist("broker", lambda: self._send(row))
        except Unroutable:
            return await self._unroutable(row)
        return "published" if sent else await self._hand_over(row)

    async def _send(self, row: Publication) -> bool:
        """`False`: only processes of another service may publish it."""
        message, address = self.wire(row)
        try:
            await self._broker.publish(message, address)
        except Forbidden:
            if self._owners(row) & self._services:  # a right of its own is missing, which an operator mends
                raise
            return False
        return True

    async def _hand_over(self, row: Publication) -> str:
        """Leave a row to those who may publish it. Until one has, it stays in the outbox and comes up again."""
        await self._insist("state", self._subscriptions.refresh)
        owners = self._owners(row)
        handed = (Handed(record=row.record, row=row.row),)
        for service in sorted(owners):
            await self._insist("state", partial(self._store.hand_over, service, handed))
        return "handed" if owners else "unrouted"

    def _owners(self, row: Publication) -> frozenset[str]:
        """The services that may publish a row: whose job or undo it is, who emitted the event, or, of an event that
        comes from outside, those who subscribe to it."""
        named = row.worker if row.kind != "event" else row.event.producer
        service, _, worker = named.partition(".")
        return frozenset({service}) if worker else self._subscriptions.services_of(row.event.name)

    async def _unroutable(self, row: Publication) -> str:
        if row.kind != "event":
            log.error("no queue for the %s of %s: its service must declare it", row.kind, row.step)
            return "returned"
        await self._insist("state", self._subscriptions.refresh)
        if not self._subscriptions.anybody(row.event.name):
            return "unrouted"
        log.error("%s came back although somebody is registered for it: is a binding gone?", row.event.name)
        return "returned"

    async def _insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        return await (self._patience.insist(what, call) if self._patience else call())

    def wire(self, row: Publication) -> tuple[Message, Address]:
        """What a row looks like on the wire, and where it goes."""
        run = "" if row.record.startswith("~") else row.record
        if row.kind == "event":
            headers = event_headers(row.event, run)
            return Message(body=row.event.payload, headers=headers), ToSubscribers(row.event.name)
        service, _, worker = row.worker.partition(".")
        if row.kind == "job":
            headers = copy_headers(event_headers(row.event, run), row.generation)
            if row.edited:
                headers[EDITED] = row.record
            return Message(body=row.event.payload, headers=headers), ToQueue(
                self._names.queue(service, worker)
            )
        headers = undo_headers(row.event, run, row.step, row.generation)
        return Message(body=b"{}", headers=headers), ToQueue(self._names.undo_queue(service, worker))
