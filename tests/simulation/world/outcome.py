"""What a seed came to, and what may be other in its world than the seed says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.checker.history import Entry


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a seed came to.

    Attributes:
        steps: handlers and undos that ran.
        faults: by kind: the nemesis's, the places' that fired, deaths.
        outcomes: runs by their status in the end.
        recovery: seconds of virtual time from the healing to rest.
        violations: what must not be, a sentence each.
        entries, told: the history, and what machines logged, where they were asked for.
    """

    seed: int
    steps: int = 0
    runs: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    did: Counter[str] = field(default_factory=Counter[str])
    recovery: float = 0.0
    virtual: float = 0.0
    turns: int = 0
    violations: list[str] = field(default_factory=list[str])
    entries: Sequence[Entry] = ()
    told: Sequence[tuple[float, str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What is other than the seed says.

    Attributes:
        forgetful: the store forgets writes that it has acknowledged, once, and nothing else goes wrong.
        without: sins, by name, that nobody commits.
        most_runs: that are started while things go wrong.
    """

    forgetful: bool = False
    without: frozenset[str] = frozenset()
    most_runs: int = 100


AS_IT_IS: Final = Changed()
