"""One attempt: a handler in a task of its own, under its timeout, its lease renewed while it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from pavane.core.answers import Fenced, Granted, Renewed
from pavane.core.calls import Renew
from pavane.errors import InfrastructureError
from pavane.model.context import Stopping
from pavane.ports.clock import Alarm
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject

LEFT_BEHIND_AFTER = 5_000
"""Milliseconds that a handler may take to end after it was cancelled; then its task is left behind."""

Cut = Literal["", "timed_out", "lease_lost", "shutdown"]

log = logging.getLogger("pavane")


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The handler returned."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The handler raised, or was cancelled at its timeout (`timed_out`)."""

    error: BaseException
    timed_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CutShort:
    """The handler was cancelled because its lease is lost or the process stops."""

    why: Literal["lease_lost", "shutdown"]


Outcome = Returned | Raised | CutShort


class Attempt:
    """Runs one handler to its end, or to the end of its time."""

    def __init__(self, crew: Crew, subject: Subject, granted: Granted) -> None:
        """The times of `granted` are the store's: only their difference is used, on this process's clock."""
        self._crew = crew
        self._subject = subject
        self._token = granted.token
        self._lease = subject.worker.lease_ms
        self._clock = crew.clock
        started = self._clock.now()
        self.deadline = started + subject.timeout
        self._lease_until = started + max(0, granted.lease_until - granted.now)
        self._run_failing = False
        self._cut: Cut = ""
        self._task: asyncio.Task[Any] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._renew_at = started + subject.renew_every
        self._alarm: Alarm | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stopping(self) -> Stopping:
        """What `ctx.stopping` says."""
        if self._run_failing:
            return "run_failing"
        return "shutdown" if self._crew.stopping else None

    async def report(self, progress: float | None, note: str | None) -> None:
        """What `ctx.heartbeat` does: renew, with what there is to tell. An outage is not the handler's failure.

        A handler that is being cut short keeps no lease any more by telling how far it is.
        """
        if self._cut:
            return
        try:
            await self._renew(-1.0 if progress is None else progress, note or "")
        except InfrastructureError as error:
            log.info("the progress of %s is not told: %s", self._subject.step, error)

    async def run(self, handler: Callable[[], Awaitable[Any]]) -> Outcome:
        """Run `handler`; return how it ended. Cancelling this call cancels the handler (shutdown)."""
        task = self._task = asyncio.get_running_loop().create_task(self._call(handler))
        task.add_done_callback(self._on_end)
        self._wait_for_time()
        self._crew.attempts.add(self)
        self._crew.watchdog.handler_started()
        try:
            await self._ended
        except asyncio.CancelledError:
            self._cut = self._cut or "shutdown"
            task.cancel()
            raise
        finally:
            self._crew.watchdog.handler_ended()
            self._crew.attempts.discard(self)
            if self._alarm is not None:
                self._alarm.cancel()
            if self._renewal is not None:
                self._renewal.cancel()
        return self._outcome(task)

    def cut(self, why: Cut) -> None:
        """Cancel the handler, for one reason; the first one counts."""
        if self._cut or self._ended.done() or self._task is None:
            return
        self._cut = why
        self._task.cancel()
        self._set_alarm(self._clock.now() + LEFT_BEHIND_AFTER, self._leave_behind)

    @staticmethod
    async def _call(handler: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await handler()
        except (SystemExit, KeyboardInterrupt) as error:
            # Left alone, these would end the event loop, and with it the process's other jobs.
            raise RuntimeError(f"the handler raised {type(error).__name__}") from error

    def _outcome(self, task: asyncio.Task[Any]) -> Outcome:
        """A handler that got to its end although it was being cut short has ended all the same."""
        error = self._error(task)
        if error is None:
            return Returned(value=task.result())
        if self._cut in ("lease_lost", "shutdown"):
            return CutShort(why=self._cut)
        cancelled = isinstance(error, asyncio.CancelledError)
        if self._cut == "timed_out":
            timeout = TimeoutError(f"no end after {self._subject.timeout / 1000:g} s")
            return Raised(error=timeout if cancelled else error, timed_out=True)
        return Raised(error=RuntimeError("cancelled by its own code") if cancelled else error)

    @staticmethod
    def _error(task: asyncio.Task[Any]) -> BaseException | None:
        if not task.done():
            return TimeoutError("it ignores its cancellation")
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    def _on_end(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # marks it as seen, also for a task that was left behind
        if not self._ended.done():
            self._ended.set_result(None)

    def _leave_behind(self) -> None:
        if not self._ended.done():
            log.error("%s ignores its cancellation and is left behind", self._subject.step)
            self._ended.set_result(None)

    def _wait_for_time(self) -> None:
        """One alarm for whatever comes first: most handlers end before any of it."""
        self._set_alarm(min(self.deadline, self._lease_until, self._renew_at), self._time_has_come)

    def _set_alarm(self, at: int, callback: Callable[[], None]) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._clock.call_at(at, callback)

    def _time_has_come(self) -> None:
        now = self._clock.now()
        if now >= self.deadline:
            self.cut("timed_out")
        elif now >= self._lease_until:
            self.cut("lease_lost")
        else:
            if now >= self._renew_at:
                self._renew_at = now + self._subject.renew_every
                self._renewal = asyncio.get_running_loop().create_task(self._keep())
            self._wait_for_time()

    async def _keep(self) -> None:
        """One renewal. In an outage the next one is tried in its turn, until the lease is over by this clock."""
        try:
            await self._renew(-1.0, "")
        except InfrastructureError as error:
            log.warning("the lease of %s is not renewed: %s", self._subject.step, error)

    async def _renew(self, progress: float, note: str) -> None:
        asked = self._clock.now()
        answer = await self._crew.store.renew(
            Renew(
                record=self._subject.record,
                step=self._subject.step,
                kind=self._subject.kind,
                token=self._token,
                lease=self._lease,
                progress=progress,
                note=note,
            )
        )
        match answer:
            case Renewed():
                self._run_failing = answer.stopping
                self._lease_until = asked + self._lease
            case Fenced():
                self.cut("lease_lost")
