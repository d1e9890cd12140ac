"""I17: after a fault has ended, work goes on soon, and at its usual rate not much later."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant

SECOND = 1_000_000_000
WINDOW = 10 * SECOND
USUAL = 0.5
"""Share of the rate before the first fault that counts as usual again."""


@dataclass(frozen=True, slots=True)
class Heal:
    """The end of a fault when no other was under way, and when the next one began. Nanoseconds."""

    kind: str
    at: int
    until: int


def heals(evidence: Evidence) -> list[Heal]:
    """The moments from which everything should go on."""
    faults = list(evidence.operations.of("nemesis"))
    end = evidence.history[-1].at if evidence.history else 0
    found: list[Heal] = []
    for fault in faults:
        if fault.ended is None:
            continue
        at = fault.ended.at
        others = [other for other in faults if other is not fault]
        if any(other.asked.at < at and (other.ended is None or other.ended.at > at) for other in others):
            continue
        later = [other.asked.at for other in others if other.asked.at >= at]
        found.append(Heal(fault.asked.what, at, min(later, default=end)))
    return found


def commit_times(evidence: Evidence) -> list[int]:
    done = evidence.operations.of("commit", "commit_undo", answers=("Committed", "Late"))
    return sorted(commit.ended.at for commit in done if commit.ended is not None)


def progress_times(evidence: Evidence) -> list[int]:
    """When jobs came to some end: where few runs are under way, the next of them may fail, or be paused."""
    ends = evidence.operations.of("commit", "commit_undo", "fail", "release", "hold", "reject")
    return sorted(end.ended.at for end in ends if end.answer and end.ended is not None)


def waits_for_commit(evidence: Evidence) -> dict[str, int]:
    """The longest time from the end of each kind of fault to the first commit after it, in nanoseconds."""
    times = commit_times(evidence)
    found: dict[str, int] = {}
    for heal in heals(evidence):
        place = bisect_left(times, heal.at)
        if place < len(times):
            found[heal.kind] = max(found.get(heal.kind, 0), times[place] - heal.at)
    return found


@invariant("I17")
def work_goes_on(evidence: Evidence) -> Iterator[Finding]:
    """A job ends within 15 s of the end of a fault, half of the usual rate is back within 60 s, if there is work."""
    times = progress_times(evidence)
    starts = [
        start.ended.at for start in evidence.operations.of("start", answers=("Started",)) if start.ended
    ]
    allowed = evidence.plan.recovery + evidence.plan.longest_wait
    for heal in heals(evidence):
        place = bisect_left(times, heal.at)
        first = times[place] if place < len(times) else 0
        late = first == 0 or first > heal.at + allowed
        if late and heal.at + allowed <= heal.until and has_work(starts, heal.at, heal.at + allowed):
            waited = f"after {(first - heal.at) / SECOND:.1f} s" if first else "never"
            yield "", f"the first job to end after {heal.kind} ended {waited}"
    yield from too_slow(evidence, commit_times(evidence), starts)


def has_work(starts: list[int], begin: int, end: int) -> bool:
    """Whether runs were started so early in this time that their first step can have been committed in it."""
    return bisect_left(starts, begin) < bisect_left(starts, begin + (end - begin) // 2)


def too_slow(evidence: Evidence, times: list[int], starts: list[int]) -> Iterator[Finding]:
    first = min((fault.asked.at for fault in evidence.operations.of("nemesis")), default=0)
    usual = best_rate(times, times[0] if times else 0, first)
    if usual == 0:
        return
    for heal in heals(evidence):
        end = heal.at + evidence.plan.normal
        loaded = all(has_work(starts, at, at + 2 * SECOND) for at in range(heal.at, end, 2 * SECOND))
        if end <= heal.until and loaded and best_rate(times, heal.at, end) < usual * USUAL:
            yield "", f"{evidence.plan.normal // SECOND} s after {heal.kind} the rate was not back"


def best_rate(times: list[int], begin: int, end: int) -> int:
    """The most commits in any ten seconds of a time, stepping by one second; 0 if it is shorter."""
    counts = [
        bisect_left(times, at + WINDOW) - bisect_left(times, at)
        for at in range(begin, end - WINDOW + 1, SECOND)
    ]
    return max(counts, default=0)
