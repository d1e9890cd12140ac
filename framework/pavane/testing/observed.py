"""The pair in memory, with a notebook: which attempts were made, what was published, whether anything goes on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from pavane.adapters.memory.broker import MemoryBroker
from pavane.adapters.memory.store import MemoryStore
from pavane.core import agenda, envelope
from pavane.core.envelope import Envelope
from pavane.core.joining import is_waited_for
from pavane.core.record import Attempt, JobKind, Record, StepRow
from pavane.errors import PavaneError
from pavane.ports.broker import Address, Message, ToSubscribers
from pavane.ports.clock import Clock

AttemptKey = tuple[str, int, str, int]
"""A record, when it began (run ids may be used again after the retention), a step, a token."""


class ObservedStore(MemoryStore):
    """Remembers every attempt as it was last seen, also when its record's retention is over."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, shards=1)
        self.asked = 0
        self._attempts: dict[tuple[str, JobKind], dict[AttemptKey, Attempt]] = defaultdict(dict)

    def look(self, key: str) -> Record | None:
        """A record as it is: not to be written on."""
        self._answers()
        return self._live(key)

    def attempts_of(self, worker: str, kind: JobKind) -> list[Attempt]:
        """In the order in which they were granted."""
        return list(self._attempts[worker, kind].values())

    def _answers(self) -> None:
        self.asked += 1
        super()._answers()

    def _due_at(self, record: Record) -> int:
        """Without the hourly look whether the run is idle while it is paused, or waits for a timer or a join: it
        would find that it is not, 8,760 times a year. When it waits no more the look is overdue, and due at once."""
        if not (record.timers or record.head.paused_at or is_waited_for(record)):
            return super()._due_at(record)
        return agenda.due_at(replace(record, head=replace(record.head, idle_at=0)))

    def _keep(self, key: str, record: Record | None) -> None:
        before = self._records.get(key)
        super()._keep(key, record)
        if record is None:
            return
        for step, row in record.steps.items():
            # Transitions copy the rows they write: a row that is the same object has not changed.
            if before is None or before.steps.get(step) is not row:
                self._note(record, row, "step")
                self._note(record, row, "undo")

    def _note(self, record: Record, row: StepRow, kind: JobKind) -> None:
        work = row.of(kind)
        if work is None:
            return
        noted = self._attempts[row.worker, kind]
        for attempt in work.attempts:
            noted[record.head.key, record.head.started_at, row.step, attempt.token] = attempt


class ObservedBroker(MemoryBroker):
    """Remembers every event that was published, in order, each event once however often it was sent."""

    def __init__(self, clock: Clock, *, max_body: int) -> None:
        super().__init__(clock, max_body=max_body)
        self.asked = 0
        self._published: dict[str, Envelope] = {}

    @property
    def published(self) -> list[Envelope]:
        return list(self._published.values())

    async def publish(self, message: Message, to: Address) -> None:
        if not isinstance(to, ToSubscribers) or not self.connected:
            await super().publish(message, to)
            return
        read = envelope.read(message.headers, message.body, message.content_type)
        is_new = self._published.setdefault(read.event.id, read) is read
        try:
            await super().publish(message, to)
        except PavaneError:
            if is_new:
                del self._published[read.event.id]
            raise

    def _check(self) -> None:
        self.asked += 1
        super()._check()
