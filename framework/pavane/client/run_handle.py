"""One run, as a client holds it: look at it, and wait for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Generic, TypeAlias, TypeVar

from pavane.client import views
from pavane.client.listing import Found, Listing
from pavane.client.means import Means
from pavane.core.record import EventRow, Record, StepRow
from pavane.errors import RunFailed, RunNotFound
from pavane.model.duration import Duration, to_ms
from pavane.model.event import Event
from pavane.model.later import LaterRunActions
from pavane.model.views import TERMINAL, HistoryEntry, RunStatus, Step
from pavane.ports.store import Place

C = TypeVar("C", bound=Event, covariant=True)

FIRST_PAUSE = 50
LONGEST_PAUSE = 1_000

Ended: TypeAlias = Callable[[str, int | None], Awaitable[Record]]
"""Waits until a run has ended, at most so many milliseconds, and returns its record."""


class RunHandle(LaterRunActions, Generic[C]):
    """A run by its name. Making one asks nobody; each method reads afresh.

    Attributes:
        run: the full name, `<workflow>:<run id>`.
        workflow, run_id: its two parts.
        created: from `start`: whether that call began the run; else `None`.
    """

    def __init__(
        self,
        means: Means,
        workflow: str,
        run_id: str,
        *,
        read_result: Callable[[EventRow], C],
        ended: Ended,
        created: bool | None = None,
    ) -> None:
        self.run = f"{workflow}:{run_id}"
        self.workflow = workflow
        self.run_id = run_id
        self.created = created
        self._means = means
        self._read_result = read_result
        self._ended = ended

    def __repr__(self) -> str:
        return f"<RunHandle {self.run}>"

    async def status(self) -> RunStatus:
        """The run at this moment.

        Raises:
            RunNotFound: there is no such run, or no longer.
        """
        return views.run_status(await read_run(self._means, self.run))

    def steps(self, *, status: str | None = None, worker: str | None = None) -> Listing[Step]:
        """The run's steps in the order they began; only those of a status or a worker, if given."""

        async def fetch(after: Place | None, limit: int) -> Sequence[Found[Step]]:
            record = await read_run(self._means, self.run)
            rows = [row for row in views.in_order(record) if after is None or place_of(row) > key_of(after)]
            return [
                Found(
                    Place(at=row.started_at, key=row.step),
                    views.step_view(record, row)
                    if (status in (None, row.state) and worker in (None, row.worker))
                    else None,
                )
                for row in rows[:limit]
            ]

        return Listing(fetch)

    def history(self) -> Listing[HistoryEntry]:
        """What happened, oldest first; a run remembers its last 2,000 lines (`PAVANE_MAX_HISTORY`)."""

        async def fetch(after: Place | None, limit: int) -> Sequence[Found[HistoryEntry]]:
            lines = await self._means.store.history(self.run, after=after.at if after else 0, limit=limit)
            if not lines and after is None:
                await read_run(self._means, self.run)
            return [Found(Place(at=line.seq, key=""), views.history_entry(line)) for line in lines]

        return Listing(fetch)

    async def wait(self, timeout: Duration | None = None) -> RunStatus:
        """Wait until the run has ended, however it ends.

        It looks at the run's record after 50 ms, then ever less often, down to once a second: this is a
        reader's convenience, nothing in the run's own path waits like that.

        Args:
            timeout: seconds or timedelta; `None`: for ever.

        Raises:
            TimeoutError: it has not ended by then.
            RunNotFound: there is no such run, or no longer.
        """
        return views.run_status(await self._wait(timeout))

    async def result(self, timeout: Duration | None = None) -> C:
        """Wait as `wait` does, and return the event that completed the run.

        Raises:
            RunFailed: it ended otherwise.
            TimeoutError: it has not ended by then.
            RunNotFound: there is no such run, or no longer.
        """
        head = (record := await self._wait(timeout)).head
        if head.phase != "completed":
            raise RunFailed(
                f"{self.run} ended {head.phase}: {head.reason or 'no reason known'}.",
                run=self.run,
                status=head.phase,
                remedy=f"`pavane runs show {self.run}` shows every step.",
            )
        return self._read_result(record.events[head.end_event])

    async def watch(self, after: int = 0) -> AsyncIterator[HistoryEntry]:
        """The run's history from behind line `after`, and on as it is written, until the run has ended.

        New lines are looked for as in `wait`.

        Raises:
            RunNotFound: there is no such run, or no longer.
        """
        store, pause = self._means.store, FIRST_PAUSE
        while True:
            ended = (await read_run(self._means, self.run)).head.terminal
            lines = await store.history(self.run, after=after)
            for line in lines:
                after = line.seq
                yield views.history_entry(line)
                if line.kind in TERMINAL:
                    return
            if ended and not lines:
                return
            pause = FIRST_PAUSE if lines else min(LONGEST_PAUSE, pause * 2)
            await self._means.clock.sleep(pause)

    async def _wait(self, timeout: Duration | None) -> Record:
        return await self._ended(self.run, None if timeout is None else to_ms(timeout))


def place_of(row: StepRow) -> tuple[int, str]:
    return row.started_at, row.step


def key_of(place: Place) -> tuple[int, str]:
    return place.at, place.key


async def read_run(means: Means, run: str) -> Record:
    """The record of a run.

    Raises:
        RunNotFound: there is none.
    """
    record = await means.store.read(run)
    if record is None or not record.head.is_run:
        raise RunNotFound(
            f"There is no run {run}.",
            run=run,
            remedy="Runs are named <workflow>:<run id>; ended ones are forgotten after their retention.",
        )
    return record


def polling(means: Means) -> Ended:
    """Looks at the record with growing pauses until the run has ended."""

    async def ended(run: str, timeout: int | None) -> Record:
        give_up = None if timeout is None else means.clock.now() + timeout
        pause = FIRST_PAUSE
        while True:
            record = await read_run(means, run)
            if record.head.terminal:
                return record
            left = pause if give_up is None else give_up - means.clock.now()
            if left <= 0:
                raise TimeoutError(f"{run} has not ended; it is {record.head.phase}.")
            await means.clock.sleep(min(pause, left))
            pause = min(LONGEST_PAUSE, pause * 2)

    return ended
