"""What pavane needs of a state store, and what it may rely on.

Every call below that takes a `Call` is one atomic transition of `pavane.core`, run on the record's present
state and on the store's own clock. An adapter is done when `pavane.testing.conformance.StoreConformance`
passes and the differential test finds no difference to the functions of `pavane.core`.

Guarantees every adapter gives:

- *Atomic*: a transition happens as a whole or not at all, and transitions of one record happen one after
  the other.
- *Repeatable*: a call that is sent again, because its reply was lost, is answered as the first time and
  writes nothing new.
- *Durable*: what was answered is kept, as far as the server keeps what it acknowledged.
- *One clock*: leases, timers and deadlines are judged by the store's clock, never by a worker's.
- *Never afresh in silence*: a store that has lost its epoch refuses every call with `StateLost`.

Every method may raise `StateUnavailable` (no answer in `settings.state_timeout`, or the server cannot serve
now) and `StateLost`. After `StateUnavailable` the outcome is unknown: call again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

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
from pavane.core.limiting import Rate
from pavane.core.record import History, Letter, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What was due in a shard: rows to publish. `next_due` is the next time something will be (0: nothing is)."""

    rows: tuple[Publication, ...]
    next_due: int
    now: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list. Times are of the runs' start, `since` included, `until` excluded; 0: no bound."""

    statuses: tuple[str, ...] = ()
    workflow: str = ""
    since: int = 0
    until: int = 0
    newest_first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a listing stands: the item with this time and key was the last one. Items have a total order by both.

    `record`: of a letter the record it belongs to, as far as the store knew it then.
    """

    at: int
    key: str
    record: str = field(default="", compare=False)


NOWHERE: Final = Place(at=0, key="")
AUDIT_KEPT: Final = 20_000
"""Lines of the audit, about; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """That somebody has changed something: who, why, what was done to which ids or names, and with what outcome.

    `place`: where it stands in the audit, at the store's time; the store says it.
    """

    by: str
    reason: str
    action: str
    subjects: tuple[str, ...]
    outcome: str
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLetter:
    """A letter of the index with the record it belongs to."""

    record: Record
    letter: Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a service tells the others about itself: its workers' subscriptions and the workflows it knows.

    `subscriptions` maps `<service.worker>` to event names; `workflows` maps a name to a JSON document;
    `alert_at` maps a worker to the number of dead letters from which on operators are warned (1 if absent);
    `emits` maps every worker to the names of all events that it can emit, its `on_exhausted`'s included.
    """

    service: str
    subscriptions: dict[str, tuple[str, ...]]
    workflows: dict[str, str]
    alert_at: dict[str, int] = field(default_factory=dict[str, int])
    emits: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A row of a record's outbox that another service's process may not publish."""

    record: str
    row: str


class Store(Protocol):
    """The state store as pavane uses it. See the module docstring for what every adapter guarantees."""

    @property
    def shards(self) -> int:
        """How many shards the namespace has."""
        ...

    async def open(self) -> None:
        """Connect, and read the epoch.

        Raises:
            StateUnavailable: nothing answers, or the credentials are refused.
            SettingsError: the server evicts keys, or the namespace has another number of shards.
        """
        ...

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        ...

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        """Call `notify(shard, at)` whenever a call of this process has written that something is due at `at`.

        It is called on the event loop, often, and must be cheap. Only the last one given is called.
        """
        ...

    async def initialised(self) -> bool:
        """Whether every shard has an epoch."""
        ...

    async def initialise(self) -> str:
        """Write one epoch into every shard that has none and return it. Never replaces an epoch."""
        ...

    async def now(self) -> int:
        """The store's time, in milliseconds since the epoch."""
        ...

    # transitions

    async def start(self, call: Start) -> Started: ...

    async def emit(self, call: Emit) -> EmitAnswer: ...

    async def begin(self, call: Begin) -> BeginAnswer: ...

    async def commit(self, call: Commit) -> CommitAnswer: ...

    async def commit_undo(self, call: CommitUndo) -> Committed | Fenced: ...

    async def fail(self, call: Fail) -> FailAnswer: ...

    async def release(self, call: Release) -> ReleaseAnswer: ...

    async def renew(self, call: Renew) -> RenewAnswer: ...

    async def reject(self, call: Reject) -> RejectAnswer: ...

    async def mark(self, call: Mark) -> Marked: ...

    async def mark_all(self, calls: Sequence[Mark]) -> None:
        """Any number of marks, in as few calls as possible: each by itself is atomic, all of them together not.

        A record that cannot be read keeps none of the others from being marked.
        """
        ...

    async def redrive(self, call: Redrive) -> Redriven: ...

    async def discard(self, call: Discard) -> Discarded: ...

    async def edit(self, call: Edit) -> Edited:
        """Close a letter and write the job of the edited event, which the caller publishes with the answer's rows."""
        ...

    async def file(self, call: File) -> FileAnswer:
        """List a letter that lies in its queue, if the record has not got further than it."""
        ...

    # what people do to a run (docs/steering.md); the rows of an answer belong published by the caller

    async def cancel(self, call: Cancel) -> ActionAnswer:
        """Fail a running run, with or without undo; held jobs go on to their queues. The first ending wins."""
        ...

    async def compensate(self, call: Compensate) -> ActionAnswer:
        """Fail a running run because an operator gives it up. The first ending wins."""
        ...

    async def pause(self, call: Pause) -> ActionAnswer:
        """Let nothing begin any more until the run is resumed, or ended by a person or by itself."""
        ...

    async def hold(self, call: Hold) -> HoldAnswer:
        """Keep a delivery with its paused run, once for each job and generation; then it may be acknowledged."""
        ...

    async def resume(self, call: Resume) -> ActionAnswer:
        """End a pause. The held jobs are released in order, the first of them with this answer."""
        ...

    async def skip(self, call: Skip) -> ActionAnswer:
        """Commit an event instead of a step that is dead or retrying, and close its letter."""
        ...

    async def move_deadline(self, call: MoveDeadline) -> ActionAnswer:
        """Give a running run another deadline, which must lie ahead."""
        ...

    async def tick(self, shard: int, *, limit: int = 100, subscribed: tuple[str, ...] = ()) -> Tick:
        """Review up to `limit` records of a shard whose time has come (`core.agenda.review`)."""
        ...

    # reading

    async def read(self, record: str) -> Record | None:
        """The whole record as it is now, or `None`."""
        ...

    async def history(self, record: str, *, after: int = 0, limit: int = 1000) -> list[History]:
        """Lines of the record's history with a `seq` above `after`, oldest first."""
        ...

    async def runs(self, query: RunQuery, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        """Keys of the runs that match, in the query's order, from behind `after`."""
        ...

    async def letters(self, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        """Ids of the dead letters in the index, oldest first, from behind `after`."""
        ...

    async def letter(self, letter_id: str, record: str = "") -> FoundLetter | None:
        """A letter of the index, with its record. Who knows the record spares the store the search for it."""
        ...

    # the audit

    async def audit(self, line: AuditLine) -> None:
        """Keep a line, behind all that are there. A call that is sent again keeps it twice."""
        ...

    async def audited(
        self, *, since: int = 0, after: Place | None = None, limit: int = 100
    ) -> list[AuditLine]:
        """Lines of the audit, latest first, from behind `after` and not before `since`."""
        ...

    # what processes agree on

    async def claim(self, name: str, owner: str, duration: int) -> int:
        """Take or keep a lock for `duration` milliseconds.

        Returns:
            A token that grows with every new owner, the same while one owner keeps it; 0: somebody else has it.
        """
        ...

    async def disclaim(self, name: str, owner: str) -> None:
        """Let go of a lock, if `owner` still has it."""
        ...

    async def register(self, registration: Registration) -> None:
        """Replace what a service has said about itself."""
        ...

    async def registrations(self) -> Sequence[Registration]:
        """What all services have said about themselves."""
        ...

    async def take_turn(self, rate: Rate, job: str) -> int:
        """Ask a rate limit for a job's turn, by the store's clock (`core.limiting.take_turn`).

        Returns:
            Milliseconds until the turn, which is kept for the job; 0: it has it now. An answer that was lost costs a
            turn at most; the limit is never exceeded.
        """
        ...

    async def give_back_turn(self, rate: Rate) -> None:
        """Give back a turn that was taken for a job that did not run."""
        ...

    async def hand_over(self, service: str, rows: Collection[Handed]) -> None:
        """Leave rows to the processes of `service`: one of them gets each from `handed`, once however often it is left.

        This is for speed. A row that is handed over and lost stays in its record's outbox, and comes up again there.
        """
        ...

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        """Take what was left to these services, as soon as there is anything; now and then nothing is returned."""
        ...

    async def remember(self, words: Collection[str]) -> None:
        """Keep what is declared on the broker (`core.leftovers`), beside what was kept before."""
        ...

    async def remembered(self) -> frozenset[str]:
        """All that is kept of what was declared on the broker."""
        ...

    async def forget(self, words: Collection[str]) -> None:
        """Keep these no longer: they are gone from the broker."""
        ...
