"""Joins that no run can ever complete: of their events one never comes, or they never come in one run.

A join runs in a run that is running or completed, never in one that fails, and never outside of runs. What can
come in a run is found by reachability, always in favour of the join: systems outside may send their events into any
run, and so may pavane its own. A step gives at most one of its results if its source shows that nothing else leaves
it; if it can be taken at most once in a run, a run goes one of these ways.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pavane.core.choreography import Choreography, Contract, Finding, Worker, begins, is_framework_event
from pavane.core.choreography_flow import reached_events, why_unreached


def join_findings(choreography: Choreography) -> Iterator[Finding]:
    """`unfillable_join`."""
    reached = reached_events(choreography)
    for worker in choreography.workers:
        # If none of its events can come, it is an `unreachable_worker`.
        if worker.joins and not reached.isdisjoint(worker.hears):
            why = _why_unfillable(choreography, worker, reached)
            if why:
                yield Finding(
                    code="unfillable_join",
                    severity="error",
                    subject=worker.name,
                    message=f"It never runs, because it waits for all of its events: {why}.",
                    place=worker.place,
                    remedy="Join events that come in one and the same run, or let the worker hear each by itself.",
                )


def _why_unfillable(choreography: Choreography, worker: Worker, reached: frozenset[str]) -> str:
    """In words; empty if a run can complete it."""
    missing = [event for event in worker.hears if event not in reached]
    if missing:
        return "; ".join(why_unreached(choreography, event) for event in missing)
    runs = [_Run(choreography, workflow) for workflow in choreography.workflows]
    together = [run for run in runs if begins(worker, run.events)]
    if not together:
        return _where_they_come(worker, runs)
    reasons = [run.why_not_joined(worker) for run in together]
    return "; ".join(dict.fromkeys(reasons)) if all(reasons) else ""


def _where_they_come(worker: Worker, runs: list[_Run]) -> str:
    said: list[str] = []
    for event in worker.hears:
        names = [run.workflow.name for run in runs if event in run.events]
        where = f"only in runs of {' and '.join(names)}" if names else "in no run"
        said.append(f"{event} comes {where}")
    return ", ".join(said)


class _Run:
    """What can come in a run of a workflow, its closing steps included."""

    def __init__(self, choreography: Choreography, workflow: Contract) -> None:
        self.workflow = workflow
        self._starts = choreography.starts
        self._workers = choreography.workers
        heard = (event for worker in choreography.workers for event in worker.hears)
        own = (event for event in heard if is_framework_event(event))
        self._first = frozenset({workflow.starts_with, *choreography.outside, *own})
        self.events = self._following(self._workers)

    def why_not_joined(self, join: Worker) -> str:
        """Why no run of this workflow completes a join each of whose events can come in one; else empty."""
        others = [worker for worker in self._workers if worker is not join]
        failing = [event for event in join.hears if event in self.workflow.fails_with]
        if failing and self._following(others).isdisjoint(self.workflow.completes_with):
            # After a completion it would only be another event.
            return f"{failing[0]} fails a run of {self.workflow.name}, and a failing run joins nothing"
        for worker in self._workers:
            if self._is_choice(worker) and not any(
                begins(join, self._following(way)) for way in self._ways(worker)
            ):
                events = " and ".join(join.hears)
                return f"{worker.name} gives one of its results in a run, and none of them leads to {events} together"
        return ""

    def _following(self, workers: Sequence[Worker]) -> frozenset[str]:
        found, waiting = set(self._first), list(workers)
        while begun := [worker for worker in waiting if begins(worker, found)]:
            # An event that starts a run belongs to that run.
            found.update(event for worker in begun for event in worker.sends if event not in self._starts)
            waiting = [worker for worker in waiting if worker not in begun]
        return frozenset(found)

    def _is_choice(self, worker: Worker) -> bool:
        several = len(worker.results) > 1 and worker.returns_only
        return several and begins(worker, self.events) and self._is_taken_once(worker, frozenset())

    def _is_taken_once(self, worker: Worker, seen: frozenset[str]) -> bool:
        """Whether a run has at most one step of it: a run starts once, and joins once."""
        if worker.joins:
            return True
        events = [event for event in worker.hears if event in self.events]
        if events == [self.workflow.starts_with]:
            return True
        if worker.name in seen or not self._first.isdisjoint(events):
            return False
        causes = [
            one for one in self._workers if begins(one, self.events) and not {*events}.isdisjoint(one.sends)
        ]
        [first, *rest] = causes
        at_most_one = first.returns_only and {*events}.isdisjoint(first.answers)
        return not rest and at_most_one and self._is_taken_once(first, seen | {worker.name})

    def _ways(self, worker: Worker) -> Iterator[list[Worker]]:
        """All workers, with each result of this one alone."""
        for result in worker.results:
            alone = replace(worker, results=(result,))
            yield [alone if one is worker else one for one in self._workers]
