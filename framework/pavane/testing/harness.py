"""The harness: an app on the pair in memory, in one process, by a clock that only the test moves."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from pavane.app import App
from pavane.client.client import Client
from pavane.client.connection import open_pair
from pavane.client.means import Means
from pavane.client.run_handle import RunHandle, read_run
from pavane.core.record import Record
from pavane.errors import UsageError
from pavane.model.duration import Duration, to_ms
from pavane.model.event import Event, RawEvent
from pavane.model.workflow import AttributeValue, Workflow
from pavane.settings import Settings
from pavane.testing import told
from pavane.testing.clock import ReadersClock, VirtualClock
from pavane.testing.faults import Faults
from pavane.testing.life import Life
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.pace import Pace
from pavane.testing.sabotage import Sabotage
from pavane.testing.stage import Stage
from pavane.testing.witness import Witness

S = TypeVar("S", bound=Event)
C = TypeVar("C", bound=Event)

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
YEAR: Final = 365 * 86_400_000
"""Milliseconds of virtual time that `handle.wait` and `result` wait where they are not told how long."""


class Harness(Witness, Sabotage):
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
        self._patience = milliseconds("patience", patience) / 1000
        self._app = app
        self._settings = settings = Settings(actor="harness")
        clock = VirtualClock(int(start_at.timestamp() * 1000))
        store, broker = ObservedStore(clock), ObservedBroker(clock, max_body=settings.max_body)
        faults = Faults()
        stage = Stage(app.workers, faults, self._patience)
        Witness.__init__(
            self, app.catalog(settings), Means(store, broker, settings, clock), clock, store, broker, stage
        )
        Sabotage.__init__(self, stage, faults, store, broker)
        chances = Random(f"{self.seed}/process")
        self._life = Life(app, settings, store, broker, clock, stage, faults, chances, resources or {})
        self._pace = Pace(clock, self._life, stage, store, broker, self._patience)
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        """Open resources and start the workers.

        Raises:
            Whatever a lifespan raises.
        """
        if "PYTEST_CURRENT_TEST" in os.environ:
            # In a fixture nobody tells it that the test has failed; pytest shows this only if it has.
            print(self._repeats())
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
            print(self._repeats(), file=sys.stderr)
            error.add_note(self._repeats())
        if self._client is not None:
            await self._client.__aexit__(kind, error, traceback)
        await self._life.close(self._patience)

    def _repeats(self) -> str:
        return f"pavane: Harness(seed={self.seed}) repeats this order of events."

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


def milliseconds(what: str, duration: Duration) -> int:
    """Raises:
    UsageError: a duration that is none.
    """
    try:
        return to_ms(duration)
    except ValueError as error:
        raise UsageError(f"{what}: {error}.") from None
