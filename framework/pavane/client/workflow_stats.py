"""How the steps of the latest runs stand and how long they took, worker by worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pavane.client.means import Means
from pavane.client.queue_figures import queue_figures
from pavane.client.records import latest_records
from pavane.client.times import to_milliseconds
from pavane.core.record import Record
from pavane.model.views import View
from pavane.ports.store import RunQuery


class StepStats(View):
    """The steps of one worker in the latest runs of one workflow.

    Attributes:
        workflow: `None` for a worker with jobs in its queue and no step in these runs.
        runs: of the workflow that were looked at.
        waiting: jobs in the worker's queue, of whatever workflow; `None` if there is no such queue.
        running, retrying, dead, committed: steps of these runs that stand so now.
        p50_s, p95_s: from the first attempt's begin to the commit, retries included; `None` where none committed.
    """

    workflow: str | None
    worker: str
    runs: int
    waiting: int | None
    running: int
    retrying: int
    dead: int
    committed: int
    p50_s: float | None
    p95_s: float | None


@dataclass
class _Tally:
    states: Counter[str] = field(default_factory=Counter[str])
    durations: list[int] = field(default_factory=list[int])


async def workflow_stats(
    means: Means, *, workflow: str | None, since: datetime | None, until: datetime | None, limit: int
) -> list[StepStats]:
    """By workflow, then by worker; after them the workers that have begun nothing of what waits for them.

    Args:
        workflow: only this one's runs.
        since, until: of the runs' start, aware.
        limit: runs to look at, latest first.

    Raises:
        UsageError: a time without a zone.
        BrokerUnavailable, StateUnavailable: a server does not answer.
    """
    query = RunQuery(
        workflow=workflow or "",
        since=to_milliseconds("since", since),
        until=to_milliseconds("until", until),
    )
    runs: Counter[str] = Counter()
    tallies: dict[tuple[str, str], _Tally] = {}
    async for record in latest_records(means, query, limit):
        runs[record.head.workflow] += 1
        _count(record, tallies)
    waiting = await _waiting(means)
    known = [
        _stats(name, worker, runs[name], tallies[name, worker], waiting) for name, worker in sorted(tallies)
    ]
    begun = {worker for _, worker in tallies}
    return known + [
        _stats(None, worker, 0, _Tally(), waiting)
        for worker, count in sorted(waiting.items())
        if count and worker not in begun
    ]


def _count(record: Record, tallies: dict[tuple[str, str], _Tally]) -> None:
    for row in record.steps.values():
        tally = tallies.setdefault((record.head.workflow, row.worker), _Tally())
        # A step whose undo is due, or done, had committed all the same.
        tally.states["committed" if row.known else row.state] += 1
        if row.known and row.started_at and row.ended_at:
            tally.durations.append(row.ended_at - row.started_at)


async def _waiting(means: Means) -> dict[str, int]:
    jobs = {
        means.names.queue(service, name): f"{service}.{name}"
        for one in await means.store.registrations()
        for service, _, name in (worker.partition(".") for worker in one.subscriptions)
    }
    figures = await queue_figures(means)
    return {jobs[info.queue]: info.ready or 0 for info in figures if info.queue in jobs}


def _stats(workflow: str | None, worker: str, runs: int, tally: _Tally, waiting: dict[str, int]) -> StepStats:
    return StepStats(
        workflow=workflow,
        worker=worker,
        runs=runs,
        waiting=waiting.get(worker),
        running=tally.states["running"],
        retrying=tally.states["retrying"],
        dead=tally.states["dead"],
        committed=tally.states["committed"],
        p50_s=percentile(tally.durations, 50),
        p95_s=percentile(tally.durations, 95),
    )


def percentile(durations: Sequence[int], percent: int) -> float | None:
    """In seconds: the least of them that so many percent do not exceed; `None` of none."""
    if not durations:
        return None
    rank = -(-len(durations) * percent // 100)
    return sorted(durations)[max(rank, 1) - 1] / 1000
