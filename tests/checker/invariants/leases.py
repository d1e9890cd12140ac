"""I4, the leases: a token is one holder's, and nobody is granted a job that another holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding
from tests.checker.operations import Job, Operation, Operations

ENDS = ("commit", "commit_undo", "fail", "release")
MILLISECOND = 1_000_000

DRIFT = 0.02
"""Share by which the store's clock and that of the history may go apart."""


def tokens_are_granted_once(evidence: Evidence) -> Iterator[Finding]:
    """A token belongs to one delivery's begin, in one process."""
    owners: defaultdict[tuple[str, int], set[tuple[str, str, str, str]]] = defaultdict(set)
    for grant in evidence.operations.of("begin", answers=("Granted",)):
        asked = grant.asked
        begin = asked.process, asked.step, asked.kind, asked.detail["begin_id"]
        owners[asked.record, grant.token].add(begin)
    for (key, token), begins in owners.items():
        if len(begins) > 1:
            steps = sorted({step for _, step, _, _ in begins})
            yield key, f"token {token} was granted {len(begins)} times, for {', '.join(steps)}"


def leases_are_kept(evidence: Evidence) -> Iterator[Finding]:
    """Nobody is granted a job while another's lease lives: by the store's own clock, and by that of the history."""
    operations = evidence.operations
    by_job: defaultdict[Job, dict[int, Operation]] = defaultdict(dict)
    for grant in operations.of("begin", answers=("Granted",)):
        by_job[grant.asked.job].setdefault(grant.token, grant)
    for job, grants in by_job.items():
        in_order = [grants[token] for token in sorted(grants)]
        for held, taken in pairwise(in_order):
            if any(
                end.token == held.token and end.begun < taken.over for end in operations.about(job, *ENDS)
            ):
                continue
            early = max(left_by_the_store(operations, job, held, taken), 0)
            if not evidence.plan.clock_jumps:
                early = max(left_by_the_history(operations, job, held, taken), early)
            if early:
                told = f"was granted to {taken.token} while {held.token} had it for {early} ms more"
                yield job[0], f"{job[1]} ({job[2]}) {told}"


def renewals_of(operations: Operations, job: Job, held: Operation, taken: Operation) -> list[Operation]:
    """Renewals that had been answered when the next lease was asked for."""
    renewals = operations.about(job, "renew", answers=("Renewed",))
    return [one for one in renewals if one.token == held.token and one.over < taken.begun]


def left_by_the_store(operations: Operations, job: Job, held: Operation, taken: Operation) -> int:
    """Milliseconds of the lease that were left, as the store says itself when it ends, and when it was taken."""
    kept = renewals_of(operations, job, held, taken)
    known = [held, *kept] if held.over < taken.begun else kept
    until = max((int(one.said("lease_until", 0)) for one in known), default=0)
    return until - int(taken.said("now", 0))


def left_by_the_history(operations: Operations, job: Job, held: Operation, taken: Operation) -> int:
    """The same at least, by how long it lasts and by what passed between the two: whatever the store takes for now."""
    name = held.asked.detail["begin_id"]
    # A call that is sent again is answered as at first, so the lease may be as old as the first of them.
    asked = [one for one in operations.about(job, "begin") if one.asked.detail["begin_id"] == name]
    began = min(asked, key=lambda one: one.begun)
    left = 0
    for one in (began, *renewals_of(operations, job, held, taken)):
        lasts = held.asked.detail["lease"] if one is began else one.asked.detail["lease"]
        passed = (taken.ended.at if taken.ended is not None else 0) - one.asked.at
        left = max(left, round(lasts * (1 - DRIFT)) - passed // MILLISECOND)
    return left
