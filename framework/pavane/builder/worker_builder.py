"""The builder of a worker: immutable, its settings in any order, finished by a handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Concatenate, Generic, ParamSpec, Self, overload

from typing_extensions import TypeVar

from pavane.builder.choices import Choices, Slot, UndoChoice
from pavane.builder.define import define
from pavane.builder.findings import Findings
from pavane.builder.outcomes import Action
from pavane.builder.signature import check_events
from pavane.errors import Problem
from pavane.model.context import Context, UndoContext
from pavane.model.definition import UNDO_RETRY, DeadLetterLimits
from pavane.model.duration import Duration, positive_ms
from pavane.model.event import Event
from pavane.model.later import LaterSettings
from pavane.model.limits import RateLimit
from pavane.model.policies import JitterMode, RetryPolicy
from pavane.model.source import caller

LONGEST_PERIOD = 86_400_000
"""Milliseconds over which a rate limit spreads its turns at most: what is rarer than that is a schedule."""

R = TypeVar("R", default=None)
P = ParamSpec("P")
Out = TypeVar("Out", bound=Awaitable[Event | None] | Event | None)


class WorkerBuilder(LaterSettings, Generic[R]):
    """Settings of one worker. Every method returns a new builder; finish it as a decorator or by `.handler`.

    What is wrong is collected and raised, all together, when the builder is finished.
    """

    def __init__(
        self,
        slot: Slot,
        choices: Choices | None = None,
        said: frozenset[str] = frozenset(),
        problems: tuple[Problem, ...] = (),
    ) -> None:
        self._slot = slot
        self._choices = choices or Choices()
        self._said = said
        self._problems = problems

    def on(self, *events: type[Event]) -> Self:
        """Subscribe to these events. Default: the annotation of the handler's event; both must agree."""
        found = self._findings()
        if not events:
            found.add("bad_value", ".on needs at least one event.")
        check_events(".on", events, found)
        return self._say("on", found, on=events)

    def on_all(self, *events: type[Event]) -> Self:
        """Call the handler once in a run, when one of each of these events is there.

        The handler gets them in this order, `(ctx, a: A, b: B)`, and so do its undo and its `on_exhausted`
        function. The first event of each type counts, whatever comes twice; a run that fails calls it no more.
        """
        found = self._findings()
        if len(events) < 2:
            found.add("bad_value", ".on_all needs at least two events.", remedy="For one there is .on.")
        check_events(".on_all", events, found)
        return self._say("on_all", found, on_all=events)

    def emits(self, *events: type[Event]) -> Self:
        """Declare what the handler may return or emit. Default: its return annotation."""
        found = self._findings()
        check_events(".emits", events, found, sent=True)
        return self._say("emits", found, emits=events)

    def lease(self, duration: Duration = 30.0, *, renew_every: Duration | None = None) -> Self:
        """How long a holder that has died keeps others out: seconds or timedelta.

        Args:
            duration: of the lease.
            renew_every: default a third of it; at most half of it.
        """
        found = self._findings()
        lease_ms = found.duration("lease", duration, positive_ms)
        renew_ms = max(1, lease_ms // 3)
        if renew_every is not None:
            renew_ms = found.duration("renew_every", renew_every, positive_ms)
            if renew_ms * 2 > lease_ms:
                found.add("bad_value", "renew_every is more than half of the lease.")
        return self._say("lease", found, lease_ms=lease_ms, renew_every_ms=renew_ms)

    def timeout(self, attempt: Duration = 60.0, *, step: Duration | None = None) -> Self:
        """How long one attempt may take, and (`step`) all attempts together: seconds or timedelta."""
        found = self._findings()
        attempt_ms = found.duration("timeout", attempt, positive_ms)
        step_ms = None if step is None else found.duration("step", step, positive_ms)
        if step_ms is not None and step_ms < attempt_ms:
            found.add("bad_value", "the time for all attempts together is shorter than that for one.")
        given = {"timeout_ms": attempt_ms, "step_timeout_ms": step_ms, "timeout_given": True}
        return self._say("timeout", found, **given)

    @overload
    def retry(self, policy: RetryPolicy) -> Self: ...

    @overload
    def retry(
        self,
        *,
        max_attempts: int = 5,
        initial_delay: Duration = 5.0,
        max_delay: Duration = 60.0,
        multiplier: float = 2.0,
        jitter: float = 0.1,
        jitter_mode: JitterMode = "factor",
        on: Sequence[type[Exception]] = (),
        reject_on: Sequence[type[Exception]] = (),
    ) -> Self: ...

    def retry(self, policy: RetryPolicy | None = None, **fields: Any) -> Self:
        """How failed attempts are made again: a `RetryPolicy`, or its fields, not both."""
        found = self._findings()
        if policy is not None and fields:
            found.add("bad_value", ".retry takes a policy or its fields, not both.")
        return self._say("retry", found, retry=found.policy(policy, fields))

    def on_exhausted(self, action: Action) -> Self:
        """What becomes of the run when a job is exhausted.

        Args:
            action: `"stall"` (default): the run is marked, a redrive continues it; `"compensate"`: the run
                fails; or a pure function `(event, failure: StepFailure) -> Event` whose event is written
                once, together with the dead letter. With `.on_all` it takes each of the events.
        """
        return self._say("on_exhausted", self._findings(), on_exhausted=action)

    def dead_letters(
        self, *, max_length: int | None = None, alert_at: int = 1, discard_after: Duration | None = None
    ) -> Self:
        """When dead letters make themselves heard.

        Args:
            max_length: reached: consumption pauses with a named reason. No letter is ever dropped for it.
            alert_at: from how many on `doctor` and a metric warn.
            discard_after: seconds or timedelta; an explicit, audited age limit.
        """
        found = self._findings()
        found.whole("alert_at", alert_at)
        if max_length is not None:
            found.whole("max_length", max_length)
        discard_ms = (
            None if discard_after is None else found.duration("discard_after", discard_after, positive_ms)
        )
        limits = DeadLetterLimits(max_length=max_length, alert_at=alert_at, discard_after_ms=discard_ms)
        return self._say("dead_letters", found, dead_letters=limits)

    def compensate_with(
        self,
        undo: Callable[Concatenate[UndoContext[R], ...], Awaitable[None] | None],
        *,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
        uncertain: bool = True,
    ) -> Self:
        """Undo this step with `undo` if its run fails.

        Args:
            undo: `(ctx: UndoContext[R], event, done: Result | None)`; `done` may be left out. It runs for a
                step that committed a result which `done`'s annotation takes. With `.on_all` it takes each of
                the events, as the handler does.
            retry: default `RetryPolicy(max_attempts=20, max_delay=900)`.
            timeout: of one attempt, seconds or timedelta; default the worker's own.
            uncertain: undo a step too that began and never answered (`done` is `None` then).
        """
        found = self._findings()
        timeout_ms = None if timeout is None else found.duration("timeout", timeout, positive_ms)
        policy = UNDO_RETRY if retry is None else found.policy(retry, {})
        choice = UndoChoice(undo=undo, retry=policy, timeout_ms=timeout_ms, uncertain=uncertain)
        return self._say("compensate_with", found, undo=choice)

    def prefetch(self, jobs: int) -> Self:
        """How many jobs one process works on at once. Default: `settings.prefetch`."""
        found = self._findings()
        found.whole("prefetch", jobs)
        return self._say("prefetch", found, prefetch=jobs)

    def rate_limit(
        self,
        count: int,
        *,
        per: Duration = 1.0,
        burst: int | None = None,
        key: Callable[[Any], str] | None = None,
        name: str | None = None,
    ) -> Self:
        """How often the handler may begin, in all processes together, by the store's clock.

        A job that is too early waits for its turn, in the order in which they asked; no attempt is spent. Undos are
        not limited.

        Args:
            count: so many in the time of `per`, at even distances.
            per: seconds or timedelta, at most a day.
            burst: so many may begin at once after a time of rest; default `count`.
            key: of the event; jobs with different keys have limits of their own.
            name: workers with one name, of any service, share one limit; default this worker alone.
        """
        found = self._findings()
        found.whole("count", count)
        if burst is not None:
            found.whole("burst", burst)
        per_ms = found.duration("per", per, positive_ms)
        if per_ms > LONGEST_PERIOD:
            found.add("bad_value", "per is at most a day.")
        limit = RateLimit(
            name=found.limit_name(name) or self._slot.full_name,
            count=count,
            per_ms=per_ms,
            burst=count if burst is None else burst,
            key=key,
        )
        return self._say("rate_limit", found, rate_limit=limit)

    def handler(
        self, fn: Callable[Concatenate[Context[R], P], Out]
    ) -> Callable[Concatenate[Context[R], P], Out]:
        """Finish the worker with its handler, which is returned unchanged.

        Raises:
            DefinitionError: everything that is wrong with this worker.
        """
        self._slot.definitions.append(define(self._slot, self._choices, fn, self._problems))
        return fn

    def __call__(
        self, fn: Callable[Concatenate[Context[R], P], Out]
    ) -> Callable[Concatenate[Context[R], P], Out]:
        """As `handler`: the builder is a decorator."""
        return self.handler(fn)

    def __repr__(self) -> str:
        return f"<WorkerBuilder {self._slot.full_name}>"

    def _findings(self) -> Findings:
        return Findings(self._slot.full_name, caller(), self._problems)

    def _say(self, setting: str, found: Findings, **changes: Any) -> Self:
        if setting in self._said:
            found.add("set_twice", f".{setting} was called before.")
        choices = replace(self._choices, **changes)
        return type(self)(self._slot, choices, self._said | {setting}, tuple(found.problems))
