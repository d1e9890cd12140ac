"""The state store in memory: runs the transitions of `pavane.core` as they are, in one process.

The transitions are synchronous, so each is atomic on the event loop. `down` makes every call fail, for tests.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from pavane.core import (
    agenda,
    begin,
    compensation,
    editing,
    filing,
    identity,
    letters,
    limiting,
    pausing,
    run,
    skipping,
    steering,
    step,
)
from pavane.core.answers import (
    ActionAnswer,
    BeginAnswer,
    CommitAnswer,
    Committed,
    Discarded,
    Edited,
    EmitAnswer,
    FailAnswer,
    Fenced,
    FileAnswer,
    HoldAnswer,
    Marked,
    Publication,
    Redriven,
    RejectAnswer,
    ReleaseAnswer,
    RenewAnswer,
    Started,
)
from pavane.core.calls import (
    Begin,
    Call,
    Cancel,
    Commit,
    CommitUndo,
    Compensate,
    Discard,
    Edit,
    Emit,
    Fail,
    File,
    Hold,
    Mark,
    MoveDeadline,
    Pause,
    Redrive,
    Reject,
    Release,
    Renew,
    Resume,
    Skip,
    Start,
)
from pavane.core.limiting import Rate, Turns
from pavane.core.record import History, Record
from pavane.errors import StateUnavailable
from pavane.ports.clock import Clock
from pavane.ports.store import AuditLine, FoundLetter, Handed, Place, Registration, RunQuery, Tick

C = TypeVar("C", bound=Call)
A = TypeVar("A")


class MemoryStore:
    """`pavane.ports.Store` over plain dictionaries. Nothing outlives the process."""

    def __init__(self, clock: Clock, *, shards: int = 1) -> None:
        self.down = False
        self._clock = clock
        self._shards = shards
        self._records: dict[str, Record] = {}
        self._due: list[dict[str, int]] = [{} for _ in range(shards)]
        self._letters: dict[str, str] = {}
        self._locks: dict[str, tuple[str, int, int]] = {}
        self._registrations: dict[str, Registration] = {}
        self._remembered: set[str] = set()
        self._turns: dict[str, Turns] = {}
        self._handed: dict[str, dict[Handed, None]] = defaultdict(dict)
        self._left = asyncio.Event()
        self._audit: list[AuditLine] = []
        self._notify: Callable[[int, int], None] = ignore_due

    @property
    def shards(self) -> int:
        return self._shards

    async def open(self) -> None:
        self._answers()

    async def close(self) -> None:
        """Nothing to disconnect; the records stay, so that a process can be opened on them again."""

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        self._notify = notify

    async def initialised(self) -> bool:
        self._answers()
        return True

    async def initialise(self) -> str:
        self._answers()
        return "memory"

    async def now(self) -> int:
        self._answers()
        return self._clock.now()

    def next_due(self) -> int:
        """The earliest time at which anything is due in any shard; 0: nothing is. For a clock that tests move."""
        return min((at for due in self._due for at in due.values()), default=0)

    # transitions

    async def start(self, call: Start) -> Started:
        return self._apply(run.start, call)

    async def emit(self, call: Emit) -> EmitAnswer:
        return self._apply(run.emit, call)

    async def begin(self, call: Begin) -> BeginAnswer:
        return self._apply(begin.begin, call)

    async def commit(self, call: Commit) -> CommitAnswer:
        return self._apply(step.commit, call)

    async def commit_undo(self, call: CommitUndo) -> Committed | Fenced:
        return self._apply(compensation.commit_undo, call)

    async def fail(self, call: Fail) -> FailAnswer:
        return self._apply(step.fail, call)

    async def release(self, call: Release) -> ReleaseAnswer:
        return self._apply(step.release, call)

    async def renew(self, call: Renew) -> RenewAnswer:
        return self._apply(step.renew, call)

    async def reject(self, call: Reject) -> RejectAnswer:
        return self._apply(letters.reject, call)

    async def mark(self, call: Mark) -> Marked:
        return self._apply(letters.mark, call)

    async def mark_all(self, calls: Sequence[Mark]) -> None:
        for call in calls:
            self._apply(letters.mark, call)

    async def redrive(self, call: Redrive) -> Redriven:
        return self._apply(letters.redrive, call)

    async def discard(self, call: Discard) -> Discarded:
        return self._apply(letters.discard, call)

    async def edit(self, call: Edit) -> Edited:
        return self._apply(editing.edit, call)

    async def file(self, call: File) -> FileAnswer:
        return self._apply(filing.file, call)

    async def cancel(self, call: Cancel) -> ActionAnswer:
        return self._apply(steering.cancel, call)

    async def compensate(self, call: Compensate) -> ActionAnswer:
        return self._apply(steering.compensate, call)

    async def pause(self, call: Pause) -> ActionAnswer:
        return self._apply(pausing.pause, call)

    async def hold(self, call: Hold) -> HoldAnswer:
        return self._apply(pausing.hold, call)

    async def resume(self, call: Resume) -> ActionAnswer:
        return self._apply(pausing.resume, call)

    async def skip(self, call: Skip) -> ActionAnswer:
        return self._apply(skipping.skip, call)

    async def move_deadline(self, call: MoveDeadline) -> ActionAnswer:
        return self._apply(steering.move_deadline, call)

    async def tick(self, shard: int, *, limit: int = 100, subscribed: tuple[str, ...] = ()) -> Tick:
        self._answers()
        now = self._clock.now()
        due = self._due[shard]
        ready = sorted((at, key) for key, at in due.items() if at <= now)[:limit]
        rows: list[Publication] = []
        for _, key in ready:
            reviewed, answer = agenda.review(self._records[key], now, subscribed)
            self._keep(key, reviewed)
            rows += answer.rows
        return Tick(rows=tuple(rows), next_due=min(due.values(), default=0), now=now)

    # reading

    async def read(self, record: str) -> Record | None:
        self._answers()
        found = self._live(record)
        return found.fork() if found else None

    async def history(self, record: str, *, after: int = 0, limit: int = 1000) -> list[History]:
        self._answers()
        found = self._live(record)
        return [line for line in found.history if line.seq > after][:limit] if found else []

    async def runs(self, query: RunQuery, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        self._answers()
        places = [
            (record.head.started_at, key)
            for key, record in self._records.items()
            if record.head.is_run and matches(record, query)
        ]
        places.sort(reverse=query.newest_first)
        if after is not None:
            mark = (after.at, after.key)
            places = [place for place in places if (place < mark if query.newest_first else place > mark)]
        return [Place(at=at, key=key) for at, key in places[:limit]]

    async def letters(self, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        self._answers()
        places = sorted((self._records[key].letters[id_].dead_at, id_) for id_, key in self._letters.items())
        if after is not None:
            places = [place for place in places if place > (after.at, after.key)]
        return [Place(at=at, key=key, record=self._letters[key]) for at, key in places[:limit]]

    async def letter(self, letter_id: str, record: str = "") -> FoundLetter | None:
        self._answers()
        key = self._letters.get(letter_id)
        if key is None:
            return None
        found = self._records[key].fork()
        return FoundLetter(record=found, letter=found.letters[letter_id])

    # the audit

    async def audit(self, line: AuditLine) -> None:
        self._answers()
        place = Place(at=self._clock.now(), key=f"{len(self._audit):020}")
        self._audit.append(replace(line, place=place))

    async def audited(
        self, *, since: int = 0, after: Place | None = None, limit: int = 100
    ) -> list[AuditLine]:
        self._answers()
        found = [
            line
            for line in reversed(self._audit)
            if line.place.at >= since and (after is None or line.place.key < after.key)
        ]
        return found[:limit]

    # what processes agree on

    async def claim(self, name: str, owner: str, duration: int) -> int:
        self._answers()
        now = self._clock.now()
        holder, until, token = self._locks.get(name, ("", 0, 0))
        if holder not in ("", owner) and until > now:
            return 0
        token = token if holder == owner and until > now else token + 1
        self._locks[name] = (owner, now + duration, token)
        return token

    async def disclaim(self, name: str, owner: str) -> None:
        self._answers()
        holder, _, token = self._locks.get(name, ("", 0, 0))
        if holder == owner:
            self._locks[name] = ("", 0, token)

    async def register(self, registration: Registration) -> None:
        self._answers()
        self._registrations[registration.service] = registration

    async def registrations(self) -> Sequence[Registration]:
        self._answers()
        return list(self._registrations.values())

    async def take_turn(self, rate: Rate, job: str) -> int:
        self._answers()
        turns = self._turns.get(rate.limiter, Turns())
        self._turns[rate.limiter], wait = limiting.take_turn(turns, rate, job, self._clock.now())
        return wait

    async def give_back_turn(self, rate: Rate) -> None:
        self._answers()
        turns = self._turns.get(rate.limiter, Turns())
        self._turns[rate.limiter] = limiting.give_back_turn(turns, rate, self._clock.now())

    async def hand_over(self, service: str, rows: Collection[Handed]) -> None:
        self._answers()
        self._handed[service].update(dict.fromkeys(rows))
        self._left.set()

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        while True:
            self._answers()
            found = [row for service in services for row in self._handed.pop(service, ())]
            if found:
                return found
            self._left.clear()
            await self._left.wait()

    async def remember(self, words: Collection[str]) -> None:
        self._answers()
        self._remembered |= set(words)

    async def remembered(self) -> frozenset[str]:
        self._answers()
        return frozenset(self._remembered)

    async def forget(self, words: Collection[str]) -> None:
        self._answers()
        self._remembered -= set(words)

    # inside

    def _answers(self) -> None:
        if self.down:
            raise StateUnavailable("the in-memory store is switched off by this test")

    def _live(self, key: str) -> Record | None:
        """A record whose retention is over is gone, whether a tick has noticed or not."""
        record = self._records.get(key)
        if record is not None and 0 < agenda.expires_at(record) <= self._clock.now():
            self._keep(key, None)
            return None
        return record

    def _apply(self, transition: Callable[[Record | None, C, int], tuple[Record | None, A]], call: C) -> A:
        self._answers()
        before = self._live(call.record)
        after, answer = transition(before, call, self._clock.now())
        if after is not before:
            self._keep(call.record, after)
        return answer

    def _due_at(self, record: Record) -> int:
        return agenda.due_at(record)

    def _keep(self, key: str, record: Record | None) -> None:
        """Store a record and bring the indexes in line with it."""
        number = identity.shard_of(key, self._shards)
        shard = self._due[number]
        before = self._records.get(key)
        for id_ in before.letters if before else ():
            del self._letters[id_]
        if record is None:
            self._records.pop(key, None)
            shard.pop(key, None)
            return
        record.fresh = []
        self._records[key] = record
        self._letters.update(dict.fromkeys(record.letters, key))
        due = self._due_at(record)
        if due:
            shard[key] = due
            self._notify(number, due)
        else:
            shard.pop(key, None)


def ignore_due(shard: int, at: int) -> None:
    """Where nobody wants to know."""


def matches(record: Record, query: RunQuery) -> bool:
    head = record.head
    return (
        (not query.statuses or agenda.status_of(record) in query.statuses)
        and (not query.workflow or head.workflow == query.workflow)
        and (not query.since or head.started_at >= query.since)
        and (not query.until or head.started_at < query.until)
    )
