"""What a handler holds in its hand: `Context`, and `UndoContext` for the undo of a step.

Both are plain memory. What a handler asks for is collected in `Intentions` and leaves with
the commit or not at all; the only call that reaches out is `heartbeat`, and that is injected.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from logging import Logger, LoggerAdapter, getLogger
from typing import Generic, Literal

from typing_extensions import TypeVar

from pavane.errors import NotInRun, UsageError
from pavane.model.data import Data
from pavane.model.duration import Duration
from pavane.model.event import Event
from pavane.model.intentions import Intentions
from pavane.model.later import LaterActions
from pavane.model.values import EventInfo

R_co = TypeVar("R_co", covariant=True, default=None)

Stopping = Literal["run_failing", "shutdown"] | None
Report = Callable[[float | None, str | None], Awaitable[None]]

_log = getLogger("pavane.handler")
_LONGEST_NOTE = 500


async def report_nothing(progress: float | None, note: str | None) -> None:
    """A `Report` for where nobody listens."""


def never_stopping() -> Stopping:
    """The answer where nothing ever stops."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """What one attempt knows about itself; the attributes are described at the contexts."""

    run_id: str
    workflow: str | None
    worker: str
    event: EventInfo
    attempt: int
    idempotency_key: str
    fencing_token: int
    deadline: datetime

    @property
    def run(self) -> str | None:
        return f"{self.workflow}:{self.run_id}" if self.workflow is not None else None


class JobContext(Generic[R_co]):
    """What both contexts tell a handler about its job. All of it is read-only."""

    def __init__(self, job: JobInfo, resources: R_co, data: Data, report: Report) -> None:
        self._job = job
        self._resources = resources
        self._data = data
        self._report = report
        extra = {"run": job.run, "worker": job.worker, "attempt": job.attempt}
        self._logger = LoggerAdapter(_log, extra)

    @property
    def run_id(self) -> str:
        """The run's id within its workflow; outside a workflow the id of the first event."""
        return self._job.run_id

    @property
    def workflow(self) -> str | None:
        """The run's workflow; `None` outside a workflow."""
        return self._job.workflow

    @property
    def run(self) -> str | None:
        """The run's full name, `<workflow>:<run id>`; `None` outside a workflow."""
        return self._job.run

    @property
    def worker(self) -> str:
        """`service.worker`."""
        return self._job.worker

    @property
    def event(self) -> EventInfo:
        """The envelope of the event being handled."""
        return self._job.event

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self._job.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt and redrive of this step; an undo has its own."""
        return self._job.idempotency_key

    @property
    def fencing_token(self) -> int:
        """Grows with every grant of the lease: a resource that remembers it can refuse an older holder."""
        return self._job.fencing_token

    @property
    def deadline(self) -> datetime:
        """When this attempt is cancelled, UTC."""
        return self._job.deadline

    @property
    def resources(self) -> R_co:
        """What the service's `lifespan` yielded."""
        return self._resources

    @property
    def data(self) -> Data:
        """What the run's steps remembered, as of begin, with this handler's own changes.

        Raises:
            NotInRun: outside a workflow.
        """
        self._need_run("data")
        return self._data

    @property
    def log(self) -> LoggerAdapter[Logger]:
        """A logger that names run, worker and attempt."""
        return self._logger

    async def heartbeat(self, progress: float | None = None, note: str | None = None) -> None:
        """Say how far the work is. The lease renews by itself; this is only for people.

        Args:
            progress: from 0 to 1; `None` leaves it.
            note: at most 500 characters; `None` leaves it.

        Raises:
            UsageError: a value outside these bounds.
        """
        if progress is not None and not 0 <= progress <= 1:
            raise UsageError(f"heartbeat: progress is from 0 to 1, not {progress!r}.")
        if note is not None and len(note) > _LONGEST_NOTE:
            raise UsageError(f"heartbeat: a note has at most {_LONGEST_NOTE} characters.")
        await self._report(progress, note)

    def _need_run(self, what: str) -> None:
        if self._job.workflow is None:
            raise NotInRun(
                f"{what}: {self._job.worker} is handling an event that belongs to no run.",
                remedy="Start a run of a workflow; only runs remember.",
            )


class Context(JobContext[R_co], LaterActions):
    """What a handler is given. `Context[R]` says which resources the service has; `Context` alone: none.

    What is asked for here leaves with the commit: nothing is awaited, and a handler that fails
    leaves no trace.
    """

    def __init__(
        self,
        job: JobInfo,
        resources: R_co,
        *,
        intentions: Intentions,
        snapshot: dict[str, bytes] | None = None,
        stopping: Callable[[], Stopping] = never_stopping,
        report: Report = report_nothing,
    ) -> None:
        data = Data(snapshot or {}, intentions.patch, intentions.check_open)
        super().__init__(job, resources, data, report)
        self._intentions = intentions
        self._stopping = stopping

    @property
    def state(self) -> str | None:
        """The run's named state at begin; `None`, as this version has no workflows with states."""
        return None

    @property
    def stopping(self) -> Stopping:
        """Why the handler should come to an end soon: told, not interrupted.

        After `run_failing` a commit is late: the step is recorded and undone, its events are withheld.
        """
        return self._stopping()

    def emit(self, event: Event) -> None:
        """Publish `event` after the commit, in the order of the calls and before the result.

        Raises:
            UndeclaredEvent: neither in `.emits` nor in the return annotation.
            LimitExceeded: more than `settings.max_emits` from one step.
        """
        self._intentions.emit(event)

    def after(self, when: Duration | datetime, event: Event, *, key: str | None = None) -> None:
        """Emit `event` at `when`: after that long (from the commit), or at that time. At or after it, once.

        Args:
            when: seconds, a timedelta, or an aware datetime.
            key: a name within the run; setting the same key again replaces the timer.

        Raises:
            NotInRun: with `key`, outside a workflow.
            UndeclaredEvent, LimitExceeded: as for `emit`.
            UsageError: `when` is negative, not finite or naive.
        """
        if key is not None:
            self._need_run("after with a key")
        self._intentions.set_timer(when, event, key)

    def cancel_timer(self, key: str) -> None:
        """Cancel the run's timer `key`; an unknown key does nothing.

        Raises:
            NotInRun: outside a workflow.
        """
        self._need_run("cancel_timer")
        self._intentions.cancel_timer(key)


class UndoContext(JobContext[R_co]):
    """What an undo is given. It cannot emit: how an undo went is told by framework events."""

    def __init__(
        self,
        job: JobInfo,
        resources: R_co,
        *,
        outcome: Literal["committed", "unknown"],
        reason: str,
        snapshot: dict[str, bytes] | None = None,
        report: Report = report_nothing,
    ) -> None:
        super().__init__(job, resources, Data(snapshot or {}, {}, _refuse_data), report)
        self._outcome: Literal["committed", "unknown"] = outcome
        self._reason = reason

    @property
    def outcome(self) -> Literal["committed", "unknown"]:
        """`unknown`: the step began and never answered, so it may or may not have done its work."""
        return self._outcome

    @property
    def reason(self) -> str:
        """Why the run ends."""
        return self._reason


def _refuse_data() -> None:
    raise UsageError("data: an undo can read what the run remembered, not change it.")
