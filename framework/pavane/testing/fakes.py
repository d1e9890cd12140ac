"""Contexts to call a handler with directly: `await reserve_stock(FakeContext(stock), order)`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast, overload

from typing_extensions import TypeVar

from pavane.model.context import Context, JobInfo, UndoContext
from pavane.model.data import JSON, encode_values
from pavane.model.duration import Duration
from pavane.model.event import Event
from pavane.model.intentions import Intentions
from pavane.model.values import EventInfo

R_co = TypeVar("R_co", covariant=True, default=None)


class FakeTimer(NamedTuple):
    """A timer as it was asked for: equal to the tuple `(when, event, key)`."""

    when: Duration | datetime
    event: Event
    key: str | None


def fake_job(run_id: str, attempt: int, worker: str) -> JobInfo:
    now = datetime.now(UTC)
    return JobInfo(
        run_id=run_id,
        workflow="fake",
        worker=worker,
        event=EventInfo(id=f"{run_id}-event", name="fake", version=1, time=now),
        attempt=attempt,
        idempotency_key=f"{run_id}-{worker}",
        fencing_token=attempt,
        deadline=now + timedelta(seconds=60),
    )


class FakeContext(Context[R_co]):
    """A context of a run that does not exist, for a unit test of one handler.

    It refuses what a real one refuses, but for undeclared events: it does not know the worker.

    Args:
        resources: what `ctx.resources` is.
        run_id, attempt: as the handler sees them.
        data: what the run's steps have remembered.

    Attributes:
        timers: those set and not cancelled, `(when, event, key)` each.
        fanned_out, attributes, started_runs: empty, as this version can do none of these yet.
    """

    @overload
    def __init__(
        self: FakeContext[None],
        resources: None = None,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] = ...,
    ) -> None: ...

    @overload
    def __init__(
        self,
        resources: R_co,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] = ...,
    ) -> None: ...

    def __init__(
        self,
        resources: Any = None,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] | None = None,
    ) -> None:
        super().__init__(
            fake_job(run_id, attempt, "fake.worker"),
            cast("R_co", resources),
            intentions=Intentions(),
            snapshot=encode_values(data or {}),
        )
        self.timers: list[FakeTimer] = []
        self.fanned_out: list[Event] = []
        self.attributes: dict[str, object] = {}
        self.started_runs: list[str] = []

    @property
    def emitted(self) -> list[Event]:
        """What `ctx.emit` was given, in order; the returned event is not among it."""
        return list(self._intentions.emitted)

    def after(self, when: Duration | datetime, event: Event, *, key: str | None = None) -> None:
        super().after(when, event, key=key)
        self.timers = [timer for timer in self.timers if key is None or timer.key != key]
        self.timers.append(FakeTimer(when, event, key))

    def cancel_timer(self, key: str) -> None:
        super().cancel_timer(key)
        self.timers = [timer for timer in self.timers if timer.key != key]


class FakeUndoContext(UndoContext[R_co]):
    """The undo's context of a run that does not exist, for a unit test of one undo.

    Args:
        resources, run_id, attempt, data: as of `FakeContext`.
        outcome: `committed`, or `unknown`: the step began and never answered.
        reason: why the run ends.
    """

    @overload
    def __init__(
        self: FakeUndoContext[None],
        resources: None = None,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] = ...,
        outcome: Literal["committed", "unknown"] = "committed",
        reason: str = "failed",
    ) -> None: ...

    @overload
    def __init__(
        self,
        resources: R_co,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] = ...,
        outcome: Literal["committed", "unknown"] = "committed",
        reason: str = "failed",
    ) -> None: ...

    def __init__(
        self,
        resources: Any = None,
        *,
        run_id: str = "run-1",
        attempt: int = 1,
        data: Mapping[str, JSON] | None = None,
        outcome: Literal["committed", "unknown"] = "committed",
        reason: str = "failed",
    ) -> None:
        super().__init__(
            fake_job(run_id, attempt, "fake.worker/undo"),
            cast("R_co", resources),
            outcome=outcome,
            reason=reason,
            snapshot=encode_values(data or {}),
        )
