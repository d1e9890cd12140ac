"""What a reader sees of runs, steps, letters and queues. `--json` prints exactly these fields.

`run` is a run's full name, `None` outside workflows; times are aware UTC; durations end in `_s`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

T = TypeVar("T")

Phase: TypeAlias = Literal["running", "compensating", "completed", "failed", "compensated", "cancelled"]
Status: TypeAlias = Literal[
    "running",
    "waiting",
    "paused",
    "stalled",
    "compensating",
    "completed",
    "failed",
    "compensated",
    "cancelled",
]
StepStatus: TypeAlias = Literal[
    "waiting",
    "running",
    "retrying",
    "committed",
    "dead",
    "skipped",
    "refused",
    "undoing",
    "undone",
    "undo_stuck",
]
UndoStatus: TypeAlias = Literal["undoing", "undone", "undo_stuck"]
WaitingKind: TypeAlias = Literal[
    "gate", "timer", "retry", "gather", "join", "child", "held", "dead_letter", "undo_stuck"
]
Outcome: TypeAlias = Literal[
    "committed", "failed", "rejected", "timed_out", "lost", "fenced", "late", "released"
]
LetterKind: TypeAlias = Literal["step", "undo", "message"]

TERMINAL: frozenset[str] = frozenset(("completed", "failed", "compensated", "cancelled"))
"""The statuses of a run that has ended."""


class View(BaseModel):
    """A frozen answer; a reader of a newer version's answer ignores what it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventRecord(View):
    """An event as it is kept: its envelope and its payload."""

    id: str
    name: str
    version: int
    time: datetime
    payload: Any


class Waiting(View):
    """One thing that a run waits for. `ref` names it: a timer's key, a step, a letter, the worker of a join."""

    kind: WaitingKind
    ref: str
    worker: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class RunStatus(View):
    """A run at one moment. `status` is computed from phase and marks; `reason` says how it ended.

    `paused` is the mark: nothing begins until it is resumed, whatever the phase is.
    """

    run: str
    workflow: str
    run_id: str
    status: Status
    phase: Phase
    paused: bool = False
    stalled: list[str] = Field(default_factory=list[str])
    reason: str | None = None
    state: str | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    attributes: dict[str, Any] = Field(default_factory=dict[str, Any])
    result: EventRecord | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    deadline_at: datetime | None = None
    parent: str | None = None
    children: int = 0
    steps: dict[str, int] = Field(default_factory=dict[str, int])
    waiting_for: list[Waiting] = Field(default_factory=list[Waiting])


class Attempt(View):
    """One attempt at a step or an undo. `delay_s`: the wait that was drawn after it failed."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None = None
    host: str | None = None
    outcome: Outcome | None = None
    error: str | None = None
    error_type: str | None = None
    delay_s: float | None = None


class UndoInfo(View):
    """How the undo of a step goes. `outcome`: whether the step's own handler ever said what it had done."""

    status: UndoStatus
    outcome: Literal["committed", "unknown"]
    attempts: list[Attempt] = Field(default_factory=list[Attempt])
    ended_at: datetime | None = None


class Step(View):
    """A job's row in its run's record; `step_id` is `<service.worker>:<event id>`."""

    step_id: str
    worker: str
    status: StepStatus
    closing: bool = False
    member: int | None = None
    attempt: int = 0
    attempts: list[Attempt] = Field(default_factory=list[Attempt])
    event: EventRecord | None = None
    result: EventRecord | None = None
    emitted: list[str] = Field(default_factory=list[str])
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    next_attempt_at: datetime | None = None
    lease_until: datetime | None = None
    host: str | None = None
    progress: float | None = None
    note: str | None = None
    error: str | None = None
    error_type: str | None = None
    undo: UndoInfo | None = None


class HistoryEntry(View):
    """One line of a run's history. `cause` is an event id, `by` who acted."""

    seq: int
    at: datetime
    kind: str
    worker: str | None = None
    step_id: str | None = None
    attempt: int | None = None
    event: str | None = None
    cause: str | None = None
    by: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict[str, Any])


class DeadLetter(View):
    """A job (or message) that pavane gave up on, and all that is known about why."""

    id: str
    kind: LetterKind
    worker: str
    run: str | None = None
    workflow: str | None = None
    answered: bool = False
    event: EventRecord | None = None
    reason: str
    error: str | None = None
    error_type: str | None = None
    traceback: str | None = None
    fingerprint: str
    attempts: list[Attempt] = Field(default_factory=list[Attempt])
    headers: dict[str, Any] = Field(default_factory=dict[str, Any])
    raw: str | None = None
    dead_at: datetime
    redrives: int = 0
    trace_id: str | None = None


class DeadLetterGroup(View):
    """Letters that failed in the same way. `where` is `file:function`, `error` the last one's."""

    fingerprint: str
    worker: str
    error_type: str | None = None
    error: str | None = None
    where: str | None = None
    count: int
    first_at: datetime
    last_at: datetime
    example_id: str


class Skipped(View):
    """An item that a bulk action left alone, and why."""

    id: str
    reason: str


class BulkReport(View):
    """What a bulk action did (or, with `dry_run`, would do)."""

    matched: int
    done: int
    dry_run: bool = False
    skipped: list[Skipped] = Field(default_factory=list[Skipped])
    _ids: tuple[str, ...] = PrivateAttr(default=())

    @property
    def ids(self) -> tuple[str, ...]:
        """What was done, or would be, in order, where the action knows it; no part of the JSON."""
        return self._ids

    def naming(self, ids: Iterable[str]) -> Self:
        """The same report, which knows what was done."""
        report = self.model_copy()
        report._ids = tuple(ids)
        return report


class AuditEntry(View):
    """That somebody has changed something. `outcome`: `begun`, `done`, `skipped`, or `failed:` and why."""

    at: datetime
    by: str
    reason: str | None = None
    action: str
    subjects: list[str]
    outcome: str


class QueueInfo(View):
    """A worker's queue. `None` is what cannot be seen without the management API."""

    worker: str
    queue: str
    ready: int | None = None
    unacked: int | None = None
    consumers: int | None = None
    delayed: int | None = None
    dead_letters: int | None = None
    oldest_s: float | None = None
    in_per_s: float | None = None
    out_per_s: float | None = None
    leases: int | None = None
    breaker: Literal["closed", "open", "half_open", "off"] = "off"
    isolated: bool = False
    stuck_dead_lettering: bool | None = None


class Page(View, Generic[T]):
    """Part of a listing; `cursor` asks for the next part, `None` at the end."""

    items: list[T]
    cursor: str | None = None
