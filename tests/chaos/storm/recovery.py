"""How long faults held things up."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise

from tests.checker.evidence import Evidence

SECOND = 1_000_000_000


@dataclass
class Recovery:
    """Of a kind of fault, in seconds, at worst.

    Attributes:
        after: from its end to the next commit.
        standstill: without any commit, from its beginning to the first commit after its end.
    """

    after: float = 0.0
    standstill: float = 0.0

    def add(self, other: Recovery) -> None:
        self.after = max(self.after, other.after)
        self.standstill = max(self.standstill, other.standstill)


def recoveries(evidence: Evidence, until: int) -> dict[str, Recovery]:
    """By kind of fault, of those that ended before `until` on the history's clock: later there may be nothing to do."""
    commits = [entry.at for entry in evidence.history if entry.op == "commit" and entry.type == "ok"]
    worst: dict[str, Recovery] = defaultdict(Recovery)
    for fault in evidence.operations.of("nemesis"):
        if fault.ended is None or fault.ended.at > until:
            continue
        first, end = bisect_left(commits, fault.asked.at), bisect_left(commits, fault.ended.at)
        if end == len(commits):
            continue
        moments = [fault.asked.at, *commits[first : end + 1]]
        longest = max(later - earlier for earlier, later in pairwise(moments))
        after = commits[end] - fault.ended.at
        worst[fault.asked.what].add(Recovery(after=after / SECOND, standstill=longest / SECOND))
    return dict(worst)
