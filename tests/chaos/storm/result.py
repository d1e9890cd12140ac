"""What a storm came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.chaos.storm.plan import Plan
from tests.chaos.storm.recovery import Recovery


@dataclass
class Result:
    """Attributes:
    struck: faults by kind.
    did: what was done on the wire, by kind.
    runs: by status.
    recovered: how long each kind of fault held things up, at worst.
    replaced_in: the longest that a process took to end after SIGTERM, in seconds.
    redriven: letters of the reference applications that were sent back, by worker and reason.
    steered: what people did to generated runs.
    counts: what there was to judge, by cast.
    rewound: records that lost something on purpose.
    reports: what may be and has to be told.
    violations: sentences.
    """

    plan: Plan
    struck: Counter[str] = field(default_factory=Counter[str])
    did: Counter[str] = field(default_factory=Counter[str])
    runs: Counter[str] = field(default_factory=Counter[str])
    recovered: dict[str, Recovery] = field(default_factory=dict[str, Recovery])
    replaced_in: float = 0.0
    redriven: Counter[str] = field(default_factory=Counter[str])
    steered: Counter[str] = field(default_factory=Counter[str])
    counts: dict[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    rewound: frozenset[str] = frozenset()
    reports: list[str] = field(default_factory=list[str])
    violations: list[str] = field(default_factory=list[str])
    elapsed: float = 0.0
