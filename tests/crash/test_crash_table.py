"""DESIGN's crash table: a process kills itself with SIGKILL at each point, another takes over, and nothing shows.

The cases run side by side, each in a namespace of its own on shared servers; each test judges one of them.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.crash.cases import CASES, Case
from tests.crash.takeover import Played, play
from tests.servers import RabbitServer, RedisServer

AT_ONCE = 3


@pytest.fixture(scope="module")
def plays(
    request: pytest.FixtureRequest,
    rabbit: RabbitServer,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[Played]]]:
    """Cases by name, being played in a thread of their own; only those whose tests were chosen."""
    chosen = chosen_cases(request)
    futures: dict[str, Future[Played]] = {case.name: Future() for case in chosen}
    folder = tmp_path_factory.mktemp("ledgers")
    player = Player(chosen, futures, rabbit.url, redis_server.url, folder)
    player.start()
    yield futures
    player.finish()


def chosen_cases(request: pytest.FixtureRequest) -> list[Case]:
    """The cases of those tests of this module that are to run."""
    cases: list[Case] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec"):
            case = item.callspec.params["case"]
            assert isinstance(case, Case)
            cases.append(case)
    return cases


class Player(threading.Thread):
    """Plays cases on an event loop of its own, a few at once."""

    def __init__(
        self, cases: list[Case], futures: dict[str, Future[Played]], broker: str, state: str, folder: Path
    ) -> None:
        super().__init__(name="crash cases")
        self._cases, self._futures = cases, futures
        self._place = (broker, state, folder)
        self._loop = asyncio.new_event_loop()
        self._all: asyncio.Task[None] | None = None

    def run(self) -> None:
        self._all = self._loop.create_task(self._play_all())
        try:
            self._loop.run_until_complete(self._all)
        except asyncio.CancelledError:
            return
        finally:
            self._loop.close()

    def finish(self) -> None:
        """Stop what is still being played, and its processes."""
        if self.is_alive() and self._all is not None:
            self._loop.call_soon_threadsafe(self._all.cancel)
        self.join()

    async def _play_all(self) -> None:
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._play(case, turns) for case in self._cases))

    async def _play(self, case: Case, turns: asyncio.Semaphore) -> None:
        future = self._futures[case.name]
        try:
            async with turns:
                future.set_result(await play(case, *self._place))
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise


@pytest.mark.timeout(240)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_process_that_dies_here_costs_nothing(case: Case, plays: dict[str, Future[Played]]) -> None:
    played = plays[case.name].result(timeout=200)
    died_where_it_should(played)
    committed_once(played)
    only_real_failures_count(played)
    the_next_job_came_once(played)
    one_letter_if_any(played)
    nothing_is_left(played)


def died_where_it_should(played: Played) -> None:
    """The record, the queues and the ledger say which point the process had just passed."""
    case, left = played.case, played.left
    assert left.exit == -signal.SIGKILL
    if case.state:
        assert left.row is not None
        assert left.row.state == case.state
    else:
        assert left.row is None
    worker = "undo:line.second" if case.kind == "undo" else "line.second"
    starts = [entry for entry in left.ledger if entry.worker == worker and entry.what == "start"]
    ends = [entry for entry in left.ledger if entry.worker == worker and entry.what == "end"]
    attempts_made = max(case.failures, 0 if case.point in ("receive", "begin") else 1)
    assert (len(starts), len(ends)) == (attempts_made, case.ran)
    if left.work is not None:
        holds_lease = case.point in ("begin", "handler")
        assert bool(left.work.token) == holds_lease
        assert left.work.unpublished == case.unpublished
        assert left.work.failures == case.failures
    assert left.letters == case.letters
    follows = [
        row for row in left.outbox if row == f"undo/line.first:{played.row.event}" or is_of(played, row)
    ]
    if case.published is not None:
        assert bool(follows) == case.pending, left.outbox


def is_of(played: Played, outbox_row: str) -> bool:
    """Whether a row of the outbox was written by the step that was hit, or (undo) is the next undo's."""
    if played.case.kind == "undo":
        return outbox_row.startswith("undo/line.first:")
    return outbox_row in played.row.emitted


def committed_once(played: Played) -> None:
    """However often it ran: one commit, and one key for the world outside."""
    case = played.case
    worker = "undo:line.second" if case.kind == "undo" else "line.second"
    starts = [entry for entry in played.ledger if entry.worker == worker and entry.what == "start"]
    before = [entry for entry in played.left.ledger if entry.worker == worker and entry.what == "start"]
    assert len(starts) - len(before) == case.again
    assert len({entry.key for entry in starts}) == 1
    tokens = [entry.token for entry in starts]
    assert tokens == sorted(set(tokens)), "fencing tokens grow"
    assert played.outcomes.count("committed") == 1
    assert played.work.done
    assert played.work.granted == []


def only_real_failures_count(played: Played) -> None:
    """Attempts are what DESIGN says: a crash shows as lost, and spends none of `max_attempts`."""
    assert played.outcomes == list(played.case.outcomes)
    failures = 0 if played.case.redriven else played.case.failures
    assert played.work.failures == failures
    expected = "compensated" if played.case.kind == "undo" else "completed"
    assert played.status.status == expected


def the_next_job_came_once(played: Played) -> None:
    """The event, or the wake-up of the next undo, has the id it had before the crash and is applied once."""
    assert len(played.next_events) == 1
    if played.case.kind == "step":
        assert played.next_events == played.row.emitted == [played.row.result]
    told = [entry for entry in played.ledger if entry.worker == "line.told" and entry.what == "start"]
    assert len(told) == 1


def one_letter_if_any(played: Played) -> None:
    assert (played.indexed, played.letters_in_queue) == (min(played.case.redriven, 1), played.case.redriven)


def nothing_is_left(played: Played) -> None:
    assert played.full_queues == {}
    assert played.letters_left == 0
