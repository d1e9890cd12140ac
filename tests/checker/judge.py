"""The judgement: all invariants, what there was to judge, and whether that was enough to prove anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.checker.evidence import Evidence
from tests.checker.invariants import INVARIANTS
from tests.checker.invariants.effects import repeated_effects
from tests.checker.invariants.reads import status_of
from tests.checker.invariants.recovery import waits_for_commit
from tests.checker.verdict import Verdict

FORGIVEN = ("I3", "I5", "I7")
"""What a store that forgot acknowledged writes may break, for the records that it forgot them of."""

ENOUGH = 0.6
"""Share of the planned starts that have to be accepted."""


def judge(evidence: Evidence, *, forgetful: bool = False) -> Verdict:
    """Judge by all invariants.

    Args:
        forgetful: the store was made to forget writes that it had acknowledged. I3, I5 and I7 then hold up to these:
            what breaks them in a record of `evidence.rewound` is reported, and has to be listed by pavane (I2).
    """
    found = [violation for judging in INVARIANTS.values() for violation in judging(evidence)]
    forgiven = [
        one for one in found if forgetful and one.invariant in FORGIVEN and one.record in evidence.rewound
    ]
    return Verdict(
        violations=[one for one in found if one not in forgiven],
        reports=[*forgiven, *repeated_effects(evidence)],
        counts=counts_of(evidence),
        vacuity=list(why_vacuous(evidence)),
    )


def why_vacuous(evidence: Evidence) -> Iterator[str]:
    """A run may pass because nothing happened in it."""
    plan = evidence.plan
    accepted = sum(planned.asked == "ok" for planned in plan.starts)
    if accepted < ENOUGH * len(plan.starts):
        yield f"only {accepted} of {len(plan.starts)} planned starts were accepted"
    struck = {fault.asked.what for fault in evidence.operations.of("nemesis")}
    for kind in sorted(plan.faults - struck):
        yield f"the fault {kind} never struck"
    hit = {str(entry.detail.get("point", "")) for _, entry in evidence.operations.happened["crash"]}
    for point in sorted(plan.crash_points - hit):
        yield f"nobody died at {point}"
    seen = {status_of(record) for record in evidence.records.values() if record.head.is_run}
    for outcome in sorted(plan.outcomes - seen):
        yield f"no run is {outcome}"


def counts_of(evidence: Evidence) -> Counter[str]:
    """How much there was: runs by status, operations by answer, faults by kind, the worst recovery of each kind."""
    counts: Counter[str] = Counter(entries=len(evidence.history), effects=len(evidence.effects))
    for record in evidence.records.values():
        if record.head.is_run:
            counts["runs"] += 1
            counts[f"runs {status_of(record)}"] += 1
        counts["steps"] += len(record.steps)
    for operation in evidence.operations.of("begin", "commit", "commit_undo", "fail"):
        end = operation.answer or ("unknown" if not operation.failed else "refused")
        counts[f"{operation.asked.op} {end}"] += 1
    for fault in evidence.operations.of("nemesis"):
        counts[f"fault {fault.asked.what}"] += 1
    for kind, waited in waits_for_commit(evidence).items():
        counts[f"recovery ms {kind}"] = waited // 1_000_000
    return counts
