"""What a record can answer to a call: closed sets, to be settled in one `match`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pavane.core.record import EventRow, Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An outbox row to publish now: an event to its subscribers, a job to its worker, or the wake-up of an undo.

    `event` is the event, or for an undo the event that its step had received. A job goes to the queue of
    `worker` alone, as its event with this `generation`; one that an edit of a dead letter made says so.
    """

    row: str
    kind: Literal["event", "job", "undo"]
    record: str
    event: EventRow
    worker: str = ""
    step: str = ""
    generation: int = 0
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The lease is yours. `key_step`: the step whose idempotency key it passes on, if not its own.

    An undo also gets its step's `event`, the committed `result` (or `None`), whether the step's outcome is
    `unknown` because its handler never committed, and the `reason` why the run ends. `joined` are the events of
    a join, in the order of the handler's arguments, for the step and for its undo.
    """

    token: int
    attempt: int
    failures: int
    last_delay: int
    lease_until: int
    step_started_at: int
    now: int
    data: tuple[tuple[str, bytes], ...] = ()
    event: EventRow | None = None
    result: EventRow | None = None
    joined: tuple[EventRow, ...] = ()
    unknown: bool = False
    reason: str = ""
    key_step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The step is committed; `rows` wait to be published. `run_ended` holds the phase, if this call ended it."""

    rows: tuple[Publication, ...] = ()
    run_ended: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """The step is recorded, but its run is failing: its events are withheld and its undo is due."""

    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """The token is not (or no longer) the holder's: nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """Somebody else holds the job for `remaining` more milliseconds."""

    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The job's next time is `remaining` milliseconds away."""

    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The run is paused since then: hold the delivery."""

    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The delivery is kept with the run, and can be acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPaused:
    """The pause is over: begin again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The run is as it was asked to be, by this call or before. `rows` wait to be published."""

    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The job will not run: its run is over, or the call is not allowed. `reason` is a code."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The delivery is of an older generation. `publish` says which copy of the present one is unmarked."""

    publish: Literal["", "retry", "letter"]
    generation: int
    delay: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """The job is dead-lettered. `publish` asks for the letter's copy; `rows` were written with it."""

    letter: Letter
    generation: int
    publish: bool
    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """The failure is recorded; a copy of this generation belongs on the wheel for `delay` milliseconds."""

    generation: int
    delay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Noted, and nothing is to run: the end of an attempt in a failing run, or an arrival at a join."""

    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """The job may not be tried again. Nothing was written: repeat the call with a verdict."""

    reason: Literal["attempts", "rejected", "crash_loop", "deadline"]
    attempts: int
    error: str
    error_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolate:
    """Two holders have died with this job: ask again with nothing else running beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRun:
    """No such record, and this call may not make one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """`created`: this call made the run. `conflict`: it exists with another payload. `event_id` is its start's."""

    created: bool
    conflict: bool
    event_id: str
    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """The event is in the run's outbox (or was, if this repeats a call)."""

    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The lease is given back; the attempt was not counted."""

    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed:
    """The lease holds until `lease_until`. `stopping`: the run is failing, so a commit will be late."""

    lease_until: int
    stopping: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """The broker gave up on a message that never began, or is held elsewhere: back to its queue after `delay`."""

    delay: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Noted. What had moved on since was left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """Answer to a redrive. `publish`: this generation's copy belongs in the worker's queue; then drop the letter."""

    outcome: Literal["publish", "again", "gone", "refused"]
    generation: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """Answer to a discard: drop the letter, or the `reason` it must stay."""

    outcome: Literal["done", "gone", "refused"]
    reason: str = ""
    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """Answer to an edit: the edited event's job is in the outbox, the letter is *gone*, or why it stays."""

    outcome: Literal["done", "gone", "refused"]
    reason: str = ""
    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """Answer to a filing: the letter is listed now, or was (*known*); its job has moved on (*gone*); or it is not
    dead, for that `reason`."""

    outcome: Literal["done", "known", "gone", "refused"]
    reason: str = ""
    rows: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """What was due in one record: rows to publish. `deleted`: its retention was over."""

    rows: tuple[Publication, ...] = ()
    deleted: bool = False


BeginAnswer = (
    Granted
    | Committed
    | Leased
    | NotYet
    | Refused
    | Paused
    | Recorded
    | Stale
    | Dead
    | UnknownRun
    | Isolate
    | Exhausted
)
CommitAnswer = Committed | Late | Fenced
FailAnswer = Retrying | Dead | Recorded | Exhausted | Fenced
ReleaseAnswer = Released | Recorded | Fenced
RenewAnswer = Renewed | Fenced
EmitAnswer = Emitted | Refused | UnknownRun
HoldAnswer = Held | NotPaused | UnknownRun
ActionAnswer = Done | Refused | UnknownRun
FileAnswer = Filed | UnknownRun
RejectAnswer = Dead | Committed | PutBack | UnknownRun | Stale
