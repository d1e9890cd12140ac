"""Playing many seeds on all cores, and what they came to together."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.world.outcome import AS_IT_IS, Changed, Outcome
from tests.simulation.world.world import simulate

SEEDS_OF_A_PROCESS = 25
"""Then another one takes over: a world's garbage is left to the end of its process, which is quicker."""


@dataclass(slots=True)
class Total:
    """What seeds came to together.

    Attributes:
        failed: what was violated, by seed.
        recovery, slowest: the longest time from the healing to rest in virtual seconds, and the seed it was.
    """

    seeds: int = 0
    steps: int = 0
    runs: int = 0
    virtual: float = 0.0
    recovery: float = 0.0
    slowest: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    did: Counter[str] = field(default_factory=Counter[str])
    failed: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def add(self, one: Outcome) -> None:
        self.seeds += 1
        self.steps += one.steps
        self.runs += one.runs
        self.virtual += one.virtual
        if one.recovery > self.recovery:
            self.recovery, self.slowest = one.recovery, one.seed
        self.faults += one.faults
        self.outcomes += one.outcomes
        self.did += one.did
        if one.violations:
            self.failed[one.seed] = one.violations

    def __str__(self) -> str:
        count = max(1, self.seeds)
        return "\n".join(
            [
                f"seeds: {self.seeds}, {self.steps / count:.1f} steps and {self.faults.total() / count:.1f} faults"
                f" in each; {self.virtual / 3600:.1f} h of virtual time",
                f"runs checked: {self.runs} ({listed(self.outcomes)})",
                f"faults: {listed(self.faults)}",
                f"people: {listed(self.did)}",
                f"worst recovery: {self.recovery:.1f} s of virtual time (seed {self.slowest})",
                f"failed: {', '.join(map(str, self.failed)) or 'none'}",
            ]
        )


def listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def play(seeds: Iterable[int], changed: Changed = AS_IT_IS) -> Iterator[Outcome]:
    """The outcomes, in no particular order."""
    gc.collect()
    gc.freeze()
    forked = multiprocessing.get_context("fork")
    with forked.Pool(maxtasksperchild=SEEDS_OF_A_PROCESS) as pool:
        yield from pool.imap_unordered(partial(simulate, changed=changed, keeps_garbage=True), seeds)
