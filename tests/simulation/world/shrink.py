"""Making a failing seed smaller: fewer runs, then fewer kinds of faults, as long as it fails."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.world.outcome import AS_IT_IS, Changed, Outcome
from tests.simulation.world.world import simulate

Fails = Callable[[Outcome], bool]


def broken(outcome: Outcome) -> bool:
    return bool(outcome.violations)


def shrink(seed: int, fails: Fails = broken) -> Changed:
    """What can be left out of a seed that fails. Leaving out one thing moves all that chance does after it, so this
    finds a small failure, not always the same and not the smallest."""
    changed = AS_IT_IS
    for runs in (1, 2, 4, 8):
        fewer = Changed(most_runs=runs)
        if fails(simulate(seed, fewer)):
            changed = fewer
            break
    struck = simulate(seed, changed).faults
    for sin, _ in struck.most_common():
        less = Changed(most_runs=changed.most_runs, without=changed.without | {sin})
        if fails(simulate(seed, less)):
            changed = less
    return changed


def told(seed: int, changed: Changed) -> str:
    """What is left, for a reader."""
    left = simulate(seed, changed)
    faults = ", ".join(f"{sin} {count}" for sin, count in left.faults.most_common()) or "none"
    runs = changed.most_runs if changed.most_runs < AS_IT_IS.most_runs else "all"
    return f"seed {seed} still fails with {runs} runs and these faults: {faults}"
