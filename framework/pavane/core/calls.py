"""What can be asked of a record: the closed set of calls that `ports.store` speaks.

A call carries everything the decision needs but the record and the time. Every call may be repeated
(a client resends when a reply is lost): the second answer says the same as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pavane.core.record import Contract, EventRow, JobKind, Letter, UndoSpec

Policy = Literal["stall", "compensate", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows if a job is exhausted: its letter, and what `on_exhausted` makes of it.

    The process prepares it because only the process can call the policy's function. `answer` is that
    function's event (policy `answer`).
    """

    letter: Letter
    policy: Policy = "stall"
    answer: EventRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every call of a record says.

    Attributes:
        record: key of the record: a run's full name, or `~` and an event id.
        subscribed: names of the framework events that some registered worker subscribes to.
    """

    record: str
    subscribed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Call):
    """Begin a run with its starting event; `by` is who asked."""

    run_id: str
    contract: Contract
    event: EventRow
    digest: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit(Call):
    """Bring an event from outside into a run."""

    event: EventRow
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinSpec:
    """What a worker with `on_all` waits for.

    Attributes:
        event: the join's own event, made from this delivery: its id is `identity.joined_id`, its name
            `kept.JOINED`, its payload empty. The delivery that completes the join has its own kept.
        names: of the events to join, in the order of the handler's arguments.
    """

    event: EventRow
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Call):
    """Ask for the lease of a job that was delivered.

    Attributes:
        step: the job's key, `<service.worker>:<event id>`.
        kind: the step itself, or its undo.
        event: the event delivered; `None` for an undo, whose arguments come from the record.
        cause: the step that emitted the event, as its headers claim.
        framework: the event is one of pavane's own about a run; its steps are closing from the start.
            A join's own event is none.
        edited: the event was made by editing a dead letter of this record, as its headers claim: the record
            knows whether it was.
        join: of a worker with `on_all`: a delivery of any event but the join's own only arrives.
        generation: of the delivery.
        begin_id: of this delivery; a resent call is answered as the first.
        lease: how long it is granted for.
        alone: nothing else runs in this process.
        ended: tokens of this job whose holders live and have let go.
        contract: of the workflow that the event starts, by the receiver's own definitions.
        digest: of the starting event's payload.
        step_timeout: time for all attempts together (0: none).
        verdict: given when the same call answered *exhausted* before.
    """

    step: str
    worker: str
    kind: JobKind = "step"
    event: EventRow | None = None
    cause: str = ""
    framework: bool = False
    edited: bool = False
    generation: int = 0
    begin_id: str
    host: str
    lease: int
    alone: bool = False
    ended: tuple[int, ...] = ()
    run_id: str = ""
    contract: Contract | None = None
    digest: str = ""
    step_timeout: int = 0
    compensation: UndoSpec | None = None
    join: JoinSpec | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerSet:
    """A timer that a commit sets: `event` is written when `at` has come. `key` is unique in the record."""

    key: str
    at: int
    event: EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit(Call):
    """End a step with its result; `events` are what it emits, in order, the result among them.

    `after` of a timer is relative to the store's clock: the process sends delays, `TimerSet.at` then counts
    from now when `relative` names the key.
    """

    step: str
    token: int
    result: str = ""
    events: tuple[EventRow, ...] = ()
    data: tuple[tuple[str, bytes], ...] = ()
    timers: tuple[TimerSet, ...] = ()
    relative: tuple[str, ...] = ()
    cancelled_timers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitUndo(Call):
    """End the undo of a step."""

    step: str
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail(Call):
    """Record a failed attempt. The job is tried again after `delay`, unless it is exhausted."""

    step: str
    kind: JobKind = "step"
    token: int
    outcome: Literal["failed", "timed_out", "rejected"]
    error: str
    error_type: str
    delay: int = 0
    max_attempts: int = 5
    step_timeout: int = 0
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Call):
    """Give a lease back without a recorded failure: at shutdown, or because of `NotNow` (`after` > 0)."""

    step: str
    kind: JobKind = "step"
    token: int
    after: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew(Call):
    """Keep a lease for another `lease` milliseconds; `progress` below 0 means unchanged."""

    step: str
    kind: JobKind = "step"
    token: int
    lease: int
    progress: float = -1.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Call):
    """Dead-letter a message that cannot become a job, or that the broker gave up on (`delivery_limit`).

    `event` is what could be read of it; `own_record` allows a record of the letter's own to be made, for
    a message without a run.
    """

    step: str
    worker: str
    kind: JobKind = "step"
    generation: int = 0
    event: EventRow | None = None
    own_record: bool = False
    delivery_limit: bool = False
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Call):
    """List a letter whose message lies in its dead-letter queue, and that the record may not know.

    `letter` and `event` are what its message says; `generation` is the one it died at, 1 at least. `own_record`
    allows a record of the letter's own to be made.
    """

    step: str
    worker: str
    kind: JobKind = "step"
    generation: int
    letter: Letter
    event: EventRow | None = None
    own_record: bool = False
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMark:
    """The copy of one generation of a job that is now safe on the wheel or in the dead-letter queue."""

    step: str
    kind: JobKind
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark(Call):
    """Say what has been published and confirmed.

    Attributes:
        rows: outbox rows that are done with.
        unrouted: those of them that no worker subscribes to.
        returned: rows that came back although somebody is registered for them; they stay.
        copies: retry copies and letters.
    """

    rows: tuple[str, ...] = ()
    unrouted: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    copies: tuple[CopyMark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive(Call):
    """Give a dead letter's job another life. `pass_id` names the pass; a repeated call is harmless."""

    letter: str
    step: str
    kind: JobKind
    generation: int
    pass_id: str
    force: bool = False
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard(Call):
    """Drop a dead letter. For a live run `then` decides what becomes of the run."""

    letter: str
    step: str
    kind: JobKind
    generation: int
    then: Literal["", "compensate", "leave"] = ""
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit(Call):
    """Give a dead letter's job another payload.

    `event` has a new id that follows from the old one and the payload (`identity.edited_id`), so that a repeated
    call is known; its causation is the old event. `generation` is the letter's, as whoever edits has seen it.
    """

    letter: str
    step: str
    generation: int
    event: EventRow
    new_key: bool = False
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Call):
    """Fail a run because somebody wants it to end. `request` names this request: a resent one is told apart.

    `undo=False`: what was done stays; the last line of the history lists it.
    """

    request: str
    undo: bool = True
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensate(Call):
    """Fail a run because an operator gives it up. `request` as in `Cancel`."""

    request: str
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause(Call):
    """Let no further job of a run begin; what runs, finishes."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Call):
    """Keep a delivery with its paused run. `event` is `None` for an undo."""

    step: str
    worker: str
    kind: JobKind = "step"
    event: EventRow | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Call):
    """Let jobs begin again, the held ones first to come."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip(Call):
    """Commit an operator's event instead of a step that cannot go on.

    `event` is validated against the worker's declaration by the caller. Its id follows from the step, its name
    and its payload (`identity.skipped_id`), so that the same skip is the same event; its producer and causation
    are the worker and the event of the step, as if that had emitted it.
    """

    step: str
    event: EventRow
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveDeadline(Call):
    """Give a running run another deadline, or one at all. `at` is in milliseconds since the epoch."""

    at: int
    by: str = ""
    reason: str = ""
