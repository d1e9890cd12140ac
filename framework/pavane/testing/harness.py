"""The harness: an app on the pair in memory, in one process, by a clock that only the test moves."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from pavane.app import App
from pavane.client import views
from pavane.client.client import Client
from pavane.client.connection import open_pair
from pavane.client.means import Means
from pavane.client.run_handle import RunHandle, read_run
from pavane.core.record import JobKind, Record, Work
from pavane.errors import UsageError
from pavane.model.duration import Duration, to_ms
from pavane.model.event import Event, RawEvent
from pavane.model.views import Attempt, RunStatus
from pavane.model.workflow import AttributeValue, Workflow
from pavane.runtime.crash_points import CrashPoint
from pavane.settings import Settings
from pavane.testing import told
from pavane.testing.clock import ReadersClock, VirtualClock
from pavane.testing.faults import Faults
from pavane.testing.life import Life
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.pace import Pace
from pavane.testing.stage import Stage

E = TypeVar("E", bound=Event)
S = TypeVar("S", bound=Event)
C = TypeVar("C", bound=Event)

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
YEAR: Final = 365 * 86_400_000
"""Milliseconds of virtual time that `handle.wait` and `result` wait where they are not told how long."""


class Harness:
    """Runs an app for a test: in memory, in this process, on a virtual clock. An async context manager.

    The clock stands still until `advance`, `handle.wait` or `handle.result` moves it, from one due time to the
    next: a year of waiting takes as long as what happens in it. Leases, timeouts, retries and timers go by it;
    `asyncio.sleep` in a handler is real. Plain `def` handlers run in threads, one at a time. Settings come from
    the environment as always; the actor is `harness`.

    The same seed gives the same order of events, the same ids and the same delays, as long as the handlers do
    nothing by chance or by real time.

    Args:
        app: what to run. Its definitions are not changed.
        resources: by service name, what `ctx.resources` is instead of what the lifespan yields.
        start_at: when the clock begins, aware.
        seed: of every chance; `None`: a random one. It is printed when the test fails.
        patience: real seconds to wait for a handler that runs, before `until_idle` raises.

    Raises:
        UsageError: resources for a service that the app does not have, a naive `start_at`, a patience that is none.
    """

    def __init__(
        self,
        app: App,
        *,
        resources: Mapping[str, object] | None = None,
        start_at: datetime = START,
        seed: int | None = None,
        patience: Duration = 5.0,
    ) -> None:
        if start_at.tzinfo is None:
            raise UsageError("start_at has no time zone.", remedy="Give an aware datetime.")
        self.seed = secrets.randbelow(2**32) if seed is None else seed
        real_seconds = milliseconds("patience", patience) / 1000
        self._app = app
        self._settings = Settings(actor="harness")
        self._clock = VirtualClock(int(start_at.timestamp() * 1000))
        self._store = ObservedStore(self._clock)
        self._broker = ObservedBroker(self._clock, max_body=self._settings.max_body)
        self._faults = Faults()
        self._patience = real_seconds
        self._stage = Stage(app.workers, self._faults, real_seconds)
        self._life = Life(
            app,
            self._settings,
            self._store,
            self._broker,
            self._clock,
            self._stage,
            self._faults,
            Random(f"{self.seed}/process"),
            resources or {},
        )
        self._pace = Pace(self._clock, self._life, self._stage, self._store, self._broker, real_seconds)
        self._means = Means(self._store, self._broker, self._settings, self._clock)
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        """Open resources and start the workers.

        Raises:
            Whatever a lifespan raises.
        """
        try:
            await open_pair(self._store, self._broker)
            await self._app.prepare(self._store, self._broker, self._settings)
            await self._life.start()
        except BaseException:
            await self._life.close(self._patience)
            raise
        self._client = Client.over(
            self._store,
            self._broker,
            settings=self._settings,
            clock=ReadersClock(self._clock, self._pace.pass_time),
            random_bytes=Random(f"{self.seed}/client").randbytes,
            ended=self._ended,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process at once, cancel what still runs, close resources."""
        if error is not None:
            words = f"pavane: Harness(seed={self.seed}) repeats this order of events."
            print(words, file=sys.stderr)
            error.add_note(words)
        if self._client is not None:
            await self._client.__aexit__(kind, error, traceback)
        await self._life.close(self._patience)

    # as in Client

    @property
    def client(self) -> Client:
        """A client on the same pair. Its waiting moves the clock.

        Raises:
            UsageError: outside `async with`.
        """
        if self._client is None:
            raise UsageError(
                "This harness has not been entered.",
                remedy="Use it inside `async with Harness(app) as harness:`.",
            )
        return self._client

    async def start(
        self,
        workflow: Workflow[S, C],
        event: S,
        *,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> RunHandle[C]:
        """Start a run, as `Client.start` does."""
        return await self.client.start(workflow, event, attributes=attributes)

    async def emit(self, event: Event, *, run: RunHandle[Any] | str | None = None) -> str:
        """Bring an event in from outside, as `Client.emit` does."""
        return await self.client.emit(event, run=run)

    @overload
    def run(self, run: str) -> RunHandle[RawEvent]: ...

    @overload
    def run(self, workflow: Workflow[Any, C], run_id: str) -> RunHandle[C]: ...

    def run(self, *given: Any, **named: Any) -> RunHandle[Any]:
        """A handle of one run, as `Client.run` gives."""
        return self.client.run(*given, **named)

    # time

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return datetime.fromtimestamp(self._clock.now() / 1000, UTC)

    async def until_idle(self) -> None:
        """Return when all that can happen at this time has happened; the clock stands still.

        Jobs that wait for a later time, for a server that is down or for `release` count as idle.

        Raises:
            AssertionError: a handler still runs after the patience, or handlers never come to rest.
        """
        self.client  # noqa: B018 - refused before the harness is entered
        async with self._pace.turn:
            await self._pace.rest(strict=True)

    async def advance(self, by: Duration) -> None:
        """Let that much time pass: stop at each time at which anything is due, until all is idle.

        A handler that still runs after the patience is left running and time goes on, so that its timeout can
        be tested.

        Args:
            by: virtual seconds or a timedelta.

        Raises:
            UsageError: a duration that is none.
            AssertionError: handlers never come to rest.
        """
        self.client  # noqa: B018 - refused before the harness is entered
        await self._pace.pass_time(milliseconds("advance", by))

    async def _ended(self, run: str, timeout: int | None) -> Record:
        """What `handle.wait` does here: move the clock until the run has ended."""
        give_up = self._clock.now() + (YEAR if timeout is None else timeout)
        async with self._pace.turn:
            await self._pace.rest(strict=False)
            while True:
                record = self._store.look(run) or await read_run(self._means, run)
                if record.head.terminal:
                    return record.fork()
                if self._broker.down:
                    raise AssertionError(told.unended(record, self.now, "the broker is switched off"))
                if not await self._pace.move(give_up):
                    break
            if self._clock.next_at() is None:
                raise AssertionError(told.unended(record, self.now, "nothing is due any more"))
            self._clock.move_to(give_up)
            raise TimeoutError(told.unended(record, self.now, "the timeout has passed"))

    # what happened

    def events(self, event: type[E], *, run: RunHandle[Any] | str | None = None) -> list[E]:
        """Events of a type that were published, in order, each once; those that nobody subscribes to included.

        Args:
            run: only of this run: a handle, or the full name.

        Raises:
            UsageError: a class without a name.
        """
        if not event.event_name:
            raise UsageError(f"{event.__qualname__} has no name, so it is never published.")
        wanted = run.run if isinstance(run, RunHandle) else run
        catalog = self._app.catalog(self._settings)
        found = told.published(self._broker.published, event, catalog)
        return [one for one, of_run in found if wanted in (None, of_run)]

    def calls(self, worker: str, *, undo: bool = False) -> list[Attempt]:
        """Every attempt of a worker (or of its undo), in order, of all runs; those that a fault met included.

        Raises:
            UsageError: no such worker, or it has no undo.
        """
        kind: JobKind = "undo" if undo else "step"
        noted = self._store.attempts_of(self._stage.known(worker, undo=undo), kind)
        return views.attempts(Work(attempts=noted))

    def assert_emitted(self, event: type[E], *, count: int | None = None, **fields: Any) -> list[E]:
        """The events of this type whose fields have these values.

        Args:
            count: how many there have to be; `None`: at least one.
            fields: a field of the event and its value.

        Raises:
            AssertionError: there are more or fewer.
            UsageError: the event has no such field.
        """
        for unknown in fields.keys() - set(event.model_fields):
            raise UsageError(f"{event.__qualname__} has no field {unknown}.")
        every = self.events(event)
        found = [one for one in every if all(getattr(one, name) == value for name, value in fields.items())]
        if (count is None and not found) or count not in (None, len(found)):
            raise AssertionError(told.not_as_many(event, count, fields, found, every))
        return found

    def assert_not_emitted(self, event: type[Event]) -> None:
        """Raises:
        AssertionError: such an event was published.
        """
        self.assert_emitted(event, count=0)

    async def assert_status(self, run: RunHandle[Any] | str, status: str) -> RunStatus:
        """The run as it is now, which has to be in this status.

        Args:
            run: a handle, or the full name.

        Raises:
            AssertionError: it is in another; with its history.
            RunNotFound: there is no such run.
        """
        name = run.run if isinstance(run, RunHandle) else run
        record = await read_run(self._means, name)
        present = views.run_status(record)
        if present.status != status:
            raise AssertionError(told.other_status(record, self.now, status))
        return present

    # faults: each returns at once, and acts on the next occasions

    def fail(
        self, worker: str, error: Exception | type[Exception], *, times: int = 1, undo: bool = False
    ) -> None:
        """Let the next calls of a handler (or undo) raise `error`; the handler itself is not called.

        Orders given earlier are carried out first.

        Raises:
            UsageError: no such worker or undo, or a class of errors that needs more than a text.
        """
        self._faults.fail(self._stage.known(worker, undo=undo), "undo" if undo else "step", error, times)

    def crash(self, worker: str, after: CrashPoint, *, times: int = 1, undo: bool = False) -> None:
        """Kill the process right after a job of this worker (or its undo) passes this point.

        The whole process dies, with everything that runs in it, and a new one is started at once on the same
        store and broker. Running handlers are cancelled, since a task cannot be taken away, but what they do
        then reaches neither store nor broker. Lifespans are entered afresh; those of the dead process are left
        when the harness is.

        Raises:
            UsageError: no such worker, undo or point.
        """
        kind: JobKind = "undo" if undo else "step"
        self._faults.crash(self._stage.known(worker, undo=undo), kind, after, times)

    def duplicate(self, event: type[Event], *, times: int = 1) -> None:
        """Let the next events of this type reach each subscriber twice."""
        self._broker.duplicate(event.event_name, times)

    def replace(self, worker: str, handler: Callable[..., Any]) -> None:
        """Call `handler` (`async def` or not) instead of the worker's own from now on.

        Raises:
            UsageError: no such worker.
        """
        self._stage.replace(self._stage.known(worker), handler)

    def hold(self, worker: str) -> None:
        """Let no handler or undo of this worker begin until `release`: its jobs have their leases, and hang.

        Raises:
            UsageError: no such worker.
        """
        self._stage.hold(self._stage.known(worker))

    def release(self, worker: str) -> None:
        """Let those go on that `hold` keeps. Idempotent.

        Raises:
            UsageError: no such worker.
        """
        self._stage.release(self._stage.known(worker))

    @contextmanager
    def broker_down(self) -> Generator[None, None, None]:
        """The broker answers nobody in this block; what was not acknowledged comes back after it."""
        self._broker.down = True
        try:
            yield
        finally:
            self._broker.down = False

    @contextmanager
    def state_down(self) -> Generator[None, None, None]:
        """The state store answers nobody in this block."""
        self._store.down = True
        try:
            yield
        finally:
            self._store.down = False


def milliseconds(what: str, duration: Duration) -> int:
    """Raises:
    UsageError: a duration that is none.
    """
    try:
        return to_ms(duration)
    except ValueError as error:
        raise UsageError(f"{what}: {error}.") from None
