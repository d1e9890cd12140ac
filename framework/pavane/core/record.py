"""The record: everything pavane remembers of one run, or of one event outside workflows.

A record is the unit of atomicity: every transition reads one record and writes one record. Transitions
work on a `fork`, so the caller's record never changes; the store that runs them keeps the new one.
All times are milliseconds since the epoch by the store's clock; 0 means never.

Counters on the head repeat what could be counted over the rows, so that no call has to read them all.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Literal

from pavane.core.kept import JOINED as JOINED
from pavane.core.kept import HeldJob as HeldJob
from pavane.core.kept import Join as Join

Phase = Literal["running", "compensating", "completed", "failed", "compensated", "cancelled"]
StepState = Literal[
    "running", "retrying", "committed", "dead", "skipped", "refused", "undoing", "undone", "undo_stuck"
]
JobKind = Literal["step", "undo"]

ATTEMPTS_KEPT = 100
"""Attempts that a row remembers; a step snoozed ten thousand times shows its last hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a workflow promised when its run began; commits are judged by it for the run's whole life.

    `undo`: one undo after the other, or all at the same time that no causal link forbids (`core.branches`).
    """

    workflow: str
    completes: tuple[str, ...]
    fails: tuple[str, ...]
    undo: Literal["sequential", "parallel"] = "sequential"
    deadline: int = 0
    retention: int = 30 * 86_400_000
    idle_after: int = 3_600_000
    max_history: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event as the record keeps it. The payload is opaque bytes and is never parsed here."""

    id: str
    name: str
    version: int
    time: int
    payload: bytes
    producer: str
    causation: str = ""
    hops: int = 0
    trace: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSpec:
    """What a worker's `compensate_with` takes: `admits` names the results (`None`: any)."""

    uncertain: bool = True
    admits: tuple[str, ...] | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One grant of a lease and how it ended."""

    number: int
    token: int
    started_at: int
    host: str
    ended_at: int = 0
    outcome: str = ""
    error: str = ""
    error_type: str = ""
    delay: int = 0


@dataclass(slots=True, kw_only=True)
class Work:
    """The leasable part of a step or of its undo.

    Attributes:
        generation: raised by a recorded failure and a redrive; a delivery with a lower one is stale.
        unpublished: the copy of this generation that no mark has confirmed yet (retry or letter).
        token: of the present holder; 0 while nobody holds it.
        granted: tokens given out whose holders never said how it ended: the crashes, once the lease is over.
        grants: numbers the attempts; released and reported ones are given back.
        failures: recorded failures since the last redrive; bounded by `max_attempts`.
    """

    generation: int = 0
    unpublished: Literal["", "retry", "letter"] = ""
    token: int = 0
    begin_id: str = ""
    ended_token: int = 0
    lease_until: int = 0
    granted: list[int] = field(default_factory=list[int])
    grants: int = 0
    failures: int = 0
    delay: int = 0
    next_at: int = 0
    done: bool = False
    put_back: bool = False
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    def fork(self) -> Work:
        return replace(
            self, granted=list(self.granted), attempts=[copy(attempt) for attempt in self.attempts]
        )


@dataclass(slots=True, kw_only=True)
class StepRow:
    """One job of the record: an event at a worker.

    Attributes:
        order: the number of its commit, or of the skip that stands for it; 0: neither happened.
        skipped: an operator's event was committed instead of its own, so what its attempts did is unknown.
        holds_up: of a parallel chain: the steps that it was caused by, whose undo waits for this one's.
        awaits: of a parallel chain: how many undos of steps that it caused are still to be done.
        replaces: the step whose dead letter was edited, which made this one.
        replaced_by: the event that its own dead letter was edited to.
        key_step: the step whose idempotency key it passes on; empty: its own.
    """

    step: str
    worker: str
    event: str
    state: StepState = "running"
    closing: bool = False
    late: bool = False
    failed_run: bool = False
    skipped: bool = False
    first_token: int = 0
    order: int = 0
    result: str = ""
    emitted: list[str] = field(default_factory=list[str])
    started_at: int = 0
    ended_at: int = 0
    progress: float = -1.0
    note: str = ""
    error: str = ""
    error_type: str = ""
    redrives: int = 0
    redrive_pass: str = ""
    compensation: UndoSpec | None = None
    holds_up: list[str] = field(default_factory=list[str])
    awaits: int = 0
    replaces: str = ""
    replaced_by: str = ""
    key_step: str = ""
    work: Work = field(default_factory=Work)
    undo: Work | None = None

    @property
    def committed(self) -> bool:
        return self.order > 0

    @property
    def known(self) -> bool:
        """Whether the step's own handler has said what it did: it committed, and nobody did so in its place."""
        return self.committed and not self.skipped

    def of(self, kind: JobKind) -> Work | None:
        """The step's own work, or its undo's (`None` if no undo was ever due)."""
        return self.work if kind == "step" else self.undo

    def fork(self) -> StepRow:
        return replace(
            self,
            emitted=list(self.emitted),
            holds_up=list(self.holds_up),
            work=self.work.fork(),
            undo=self.undo.fork() if self.undo else None,
        )


@dataclass(slots=True, kw_only=True)
class OutboxRow:
    """Something that must be published and has not been marked yet.

    An event to its subscribers, a `job` to one worker's queue (a held one, or a join's), or the wake-up of an
    undo. `by` is the step whose call wrote it (empty: none); `step` and `generation` say which job or undo, and
    `worker` and `event` where the job goes and with what.
    """

    id: str
    kind: Literal["event", "job", "undo"]
    by: str = ""
    worker: str = ""
    step: str = ""
    event: str = ""
    generation: int = 0
    tries: int = 0
    next_try: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """An event that waits for its time. A timer set again under its key replaces this one."""

    key: str
    at: int
    event: EventRow
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The index entry of a dead letter; the letter itself lies in the worker's dead-letter queue."""

    id: str
    kind: Literal["step", "undo", "message"]
    step: str
    worker: str
    event: str
    reason: str
    error: str
    error_type: str
    traceback: str = ""
    fingerprint: str = ""
    where: str = ""
    raw: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    answered: bool = False
    generation: int = 0
    redrives: int = 0
    dead_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One fact of the record's history."""

    seq: int
    at: int
    kind: str
    worker: str = ""
    step: str = ""
    attempt: int = 0
    event: str = ""
    cause: str = ""
    by: str = ""
    reason: str = ""
    detail: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True, kw_only=True)
class Head:
    """The record's own state, beside its rows.

    Attributes:
        workflow: empty for an event outside workflows; such a record has one phase, `running`.
        leases: steps that hold a lease and must end before undo begins (closing steps are not counted).
        other_leases: closing steps and undos that hold a lease.
        lease_max, retry_max: no lease of this record ends, and no retry is due, later than this.
        void_at: when leases of a failing run are looked at for holders that died.
        cancelling: the run fails because it was cancelled; `leave`: without undoing anything.
        asked: the last request to end the run that was not the first; a resent one adds nothing.
        chain: of a failing run: waiting for its leases to end, or undoing.
        paused_at: since when no job begins (0: not paused), with who asked for it and why.
        holds: numbers the held jobs.
        release_at: when the next of them are released; 0: there is none, or the run is paused.
    """

    key: str
    workflow: str = ""
    run_id: str = ""
    phase: Phase = "running"
    reason: str = ""
    contract: Contract | None = None
    start_event: str = ""
    start_digest: str = ""
    end_event: str = ""
    started_at: int = 0
    updated_at: int = 0
    ended_at: int = 0
    deadline_at: int = 0
    void_at: int = 0
    idle_at: int = 0
    tokens: int = 0
    seq: int = 0
    commits: int = 0
    leases: int = 0
    other_leases: int = 0
    lease_max: int = 0
    retry_max: int = 0
    retrying: int = 0
    letters: int = 0
    stalled: list[str] = field(default_factory=list[str])
    cancelling: bool = False
    leave: bool = False
    asked: str = ""
    paused_at: int = 0
    paused_by: str = ""
    paused_reason: str = ""
    holds: int = 0
    release_at: int = 0
    chain: Literal["", "waiting", "running"] = ""

    @property
    def is_run(self) -> bool:
        return self.workflow != ""

    @property
    def terminal(self) -> bool:
        return self.phase not in ("running", "compensating")


@dataclass(slots=True, kw_only=True)
class Record:
    """A run, or an event outside workflows, with everything it owns.

    `undo` lists the steps whose undo is not done yet, in the order that P5 names; `joins` is by worker.
    `fresh` names the outbox rows that the present call has written, for its answer; it is not kept.
    """

    head: Head
    steps: dict[str, StepRow] = field(default_factory=dict[str, StepRow])
    events: dict[str, EventRow] = field(default_factory=dict[str, EventRow])
    data: dict[str, bytes] = field(default_factory=dict[str, bytes])
    outbox: dict[str, OutboxRow] = field(default_factory=dict[str, OutboxRow])
    timers: dict[str, Timer] = field(default_factory=dict[str, Timer])
    letters: dict[str, Letter] = field(default_factory=dict[str, Letter])
    held: dict[str, HeldJob] = field(default_factory=dict[str, HeldJob])
    joins: dict[str, Join] = field(default_factory=dict[str, Join])
    undo: list[str] = field(default_factory=list[str])
    history: list[History] = field(default_factory=list[History])
    fresh: list[str] = field(default_factory=list[str], compare=False)

    def fork(self) -> Record:
        """A copy that a transition may write on: shallow, but for the head; rows are copied by `edit`."""
        return Record(
            head=replace(self.head, stalled=list(self.head.stalled)),
            steps=dict(self.steps),
            events=dict(self.events),
            data=dict(self.data),
            outbox=dict(self.outbox),
            timers=dict(self.timers),
            letters=dict(self.letters),
            held=dict(self.held),
            joins=dict(self.joins),
            undo=list(self.undo),
            history=list(self.history),
        )

    def edit(self, step: str) -> StepRow | None:
        """The row of a step, copied into this record so that it can be written; `None` if there is none."""
        row = self.steps.get(step)
        if row is None:
            return None
        self.steps[step] = row = row.fork()
        return row

    def remember(
        self,
        kind: str,
        now: int,
        *,
        row: StepRow | None = None,
        attempt: int = 0,
        event: str = "",
        cause: str = "",
        by: str = "",
        reason: str = "",
        **detail: str,
    ) -> None:
        """Add one line to the history; past the contract's cap the oldest line goes."""
        self.head.seq += 1
        self.history.append(
            History(
                seq=self.head.seq,
                at=now,
                kind=kind,
                worker=row.worker if row else "",
                step=row.step if row else "",
                attempt=attempt,
                event=event,
                cause=cause,
                by=by,
                reason=reason,
                detail=tuple(sorted(detail.items())),
            )
        )
        cap = self.head.contract.max_history if self.head.contract else 100
        if len(self.history) > cap:
            del self.history[: len(self.history) - cap]
