"""Everything that is known when all is over: what the checker is given to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pavane.core.identity import digest
from pavane.core.record import JobKind, Record, StepRow, UndoSpec
from pavane.model.definition import WorkerDefinition
from tests.checker.history import Entry
from tests.checker.ledger import Effect
from tests.checker.operations import Operations

PlaceKind = Literal["queue", "wheel", "letters", "intake", "parked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A message that lies in a queue when all is over.

    Attributes:
        record, worker, step: as far as the message says so.
        letter: of a letter: the id under which the index has it.
    """

    place: PlaceKind
    queue: str
    event: str = ""
    record: str = ""
    worker: str = ""
    step: str = ""
    kind: JobKind = "step"
    generation: int = 0
    letter: str = ""
    payload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker's definition says, as far as it can be judged.

    Attributes:
        events: names of the events that it subscribes to.
        joins: it runs once in a run, when one of each is there.
        undo: what it takes; `None`: it has none.
        attempts, undo_attempts: recorded failures after which a job of it is dead.
        effects: its handler writes to the ledger (`effect`), its undo as well.
    """

    name: str
    events: tuple[str, ...]
    joins: bool = False
    undo: UndoSpec | None = None
    attempts: int = 5
    undo_attempts: int = 20
    effects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A start that the workload meant to make.

    Attributes:
        record: the run in full.
        asked: `ok` if `start` returned, `fail` if it was surely refused, `info` if nobody knows, empty if nobody
            came to ask.
    """

    record: str
    asked: Literal["", "ok", "fail", "info"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was meant to happen, for the checks that something did.

    Attributes:
        starts: of runs, in any order; one that was repeated on purpose is there once.
        outcomes: what the workload is meant to bring about at least once: statuses of runs.
        faults: kinds of faults (`detail.what` of nemesis entries), each of which has to have struck.
        crash_points: at which a process has to have died.
        starting: event name -> workflow, of the workflows that an event starts.
        outside: ids of events that were published by others than pavane.
        clock_jumps: the store's clock was set while it ran, so leases may have been shorter than they are long.
        longest_wait: nanoseconds that a job of this workload may rightly wait (retries, timers, leases).
        late: milliseconds by which a timer may be late where nothing went wrong.
        recovery: nanoseconds from the end of a fault to the first commit; `normal`: to the usual rate.
    """

    starts: tuple[Planned, ...] = ()
    outcomes: frozenset[str] = frozenset()
    faults: frozenset[str] = frozenset()
    crash_points: frozenset[str] = frozenset()
    starting: Mapping[str, str] = field(default_factory=dict[str, str])
    outside: frozenset[str] = frozenset()
    clock_jumps: bool = False
    longest_wait: int = 0
    late: int = 2_000
    recovery: int = 15_000_000_000
    normal: int = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """A line that some process logged; `exception`: it tells of one."""

    text: str
    run: str = ""
    exception: bool = False


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What there is to judge by. All of it was gathered after the faults had ended and everything was at rest.

    Attributes:
        records: every record of the store, by key.
        queues: the messages of all queues, the wheel's, the dead letters', the intakes and `parked` among them.
        workers: by full name.
        now: the store's time then, in milliseconds.
        listed: the runs with their statuses, as a client lists them; `None`: nobody asked.
        remains: what was found that should be gone (keys, channels, consumers, tasks, threads, descriptors), a
            sentence each.
        logs: of all processes, and `secrets` that must be in none of them.
        rewound: records of which the nemesis made the store forget writes that it had acknowledged.
    """

    history: Sequence[Entry]
    records: Mapping[str, Record]
    effects: Sequence[Effect] = ()
    queues: Sequence[Found] = ()
    workers: Mapping[str, Worker] = field(default_factory=dict[str, Worker])
    plan: Plan = field(default_factory=Plan)
    now: int = 0
    listed: Mapping[str, str] | None = None
    remains: Sequence[str] = ()
    logs: Sequence[Logged] = ()
    secrets: Sequence[str] = ()
    rewound: frozenset[str] = frozenset()

    @cached_property
    def operations(self) -> Operations:
        """The history, as operations."""
        return Operations(self.history)

    @staticmethod
    def digest(payload: bytes | None) -> str:
        """How histories tell payloads apart; empty for none."""
        return digest(payload) if payload is not None else ""

    @cached_property
    def rows(self) -> Mapping[str, tuple[Record, StepRow]]:
        """Every step of every record, by its key: a worker and an event, which are in one record only."""
        return {row.step: (record, row) for record in self.records.values() for row in record.steps.values()}


def workers_of(definitions: Sequence[WorkerDefinition], effects: Sequence[str] = ()) -> dict[str, Worker]:
    """The workers of an app; `effects` names those that write to the ledger."""
    return {
        definition.full_name: Worker(
            name=definition.full_name,
            events=tuple(event.event_name for event in definition.events),
            joins=definition.joins,
            undo=UndoSpec(uncertain=undo.uncertain, admits=undo.admits) if undo else None,
            attempts=definition.retry.max_attempts,
            undo_attempts=undo.retry.max_attempts if undo else 0,
            effects=definition.full_name in effects,
        )
        for definition in definitions
        for undo in [definition.compensation]
    }
