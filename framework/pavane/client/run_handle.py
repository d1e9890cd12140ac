"""One run, as a client holds it: look at it, wait for it, and steer it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from pavane.client import steering, views
from pavane.client.listing import Found, Listing
from pavane.client.means import Means
from pavane.client.steering import Wish
from pavane.core.record import EventRow, Record, StepRow
from pavane.errors import RunFailed, RunNotFound
from pavane.model.duration import Duration, to_ms
from pavane.model.event import Event
from pavane.model.views import TERMINAL, HistoryEntry, RunStatus, Step
from pavane.ports.store import Place

C = TypeVar("C", bound=Event, covariant=True)

FIRST_PAUSE = 50
LONGEST_PAUSE = 1_000

Ended: TypeAlias = Callable[[str, int | None], Awaitable[Record]]
"""Waits until a run has ended, at most so many milliseconds, and returns its record."""


class RunHandle(Generic[C]):
    """A run by its name. Making one asks nobody; each method reads afresh.

    `cancel`, `pause`, `resume`, `compensate`, `skip` and `move_deadline` return the run as it is then. Doing one
    of them again changes nothing; what the run's status forbids raises `ActionRefused`. Each says for the history
    who did it (`by`, `None`: `settings.actor`) and why.

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

    # steering; `docs/steering.md` says what each of these means in every status

    async def cancel(self, reason: str, *, by: str | None = None, undo: bool = True) -> RunStatus:
        """End the run: nothing begins any more, running handlers are told, and what was done is undone.

        The run is `cancelled` once that is over, which `wait` waits for; a pause ends.

        Args:
            undo: `False`: leave what was done as it is; the run's last line of history names it.

        Raises:
            ActionRefused: it has ended, or fails already in another way: the first ending wins.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        return await self._steer(Wish(verb="cancel", undo=undo, by=by, reason=reason))

    async def compensate(self, reason: str, *, by: str | None = None) -> RunStatus:
        """Give the run up, a stalled one most of all: it fails, and what was done is undone. A pause ends.

        Raises:
            ActionRefused: it has ended, or fails already for another reason.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        return await self._steer(Wish(verb="compensate", by=by, reason=reason))

    async def pause(self, reason: str, *, by: str | None = None) -> RunStatus:
        """Let no further step or undo begin, until `resume`. Running handlers finish; deadlines go on.

        Raises:
            ActionRefused: it has ended.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        return await self._steer(Wish(verb="pause", by=by, reason=reason))

    async def resume(self, *, by: str | None = None) -> RunStatus:
        """Let the run go on; what was held goes back to its queues, in the order it came.

        Raises:
            ActionRefused: it has ended.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        return await self._steer(Wish(verb="resume", by=by))

    async def skip(self, step_id: str, result: Event, *, reason: str, by: str | None = None) -> RunStatus:
        """Go on without a step that is dead or waits for a retry: `result` is committed instead.

        Its subscribers get the event as if the step had emitted it, and its dead letter is closed. What the step's
        attempts did stays unknown: if the run fails later, its undo is called with outcome `unknown`.

        Args:
            step_id: `<service.worker>:<event id>`, as `steps` lists it.
            result: an event that the step's worker declares.

        Raises:
            UndeclaredEvent: the worker does not declare it.
            ActionRefused: there is no such step, or it runs, has committed, or was dealt with otherwise.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        record = await read_run(self._means, self.run)
        await steering.skip(self._means, record, step_id, result, reason=reason, by=by)
        return await self.status()

    async def move_deadline(self, to: datetime, *, reason: str, by: str | None = None) -> RunStatus:
        """Give a running run more time or less; one without a deadline gets one.

        Args:
            to: aware, and ahead.

        Raises:
            UsageError: a time without a time zone.
            ActionRefused: it is not running any more, or that time has passed.
            RunNotFound: there is no such run, or no longer.
            StateUnavailable: the outcome is unknown.
        """
        await steering.move_deadline(self._means, self.run, to, reason=reason, by=by)
        return await self.status()

    async def _steer(self, wish: Wish) -> RunStatus:
        await steering.steer(self._means, wish, self.run)
        return await self.status()

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
