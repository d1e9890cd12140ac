"""I12: no more attempts than are allowed, none too soon, none for a fault of the servers, no job given up early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from pavane.core.record import Work
from tests.checker.evidence import Evidence, Worker
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.operations import Job, Operation

INFRASTRUCTURE = ("BrokerUnavailable", "StateUnavailable", "StateLost", "Overloaded")
CRASHES_ALLOWED = 2


@invariant("I12")
def attempts_are_bounded(evidence: Evidence) -> Iterator[Finding]:
    """Recorded failures stay within the limit, the gaps are kept, and a job dies only when its attempts are spent."""
    grants: defaultdict[Job, dict[int, Operation]] = defaultdict(dict)
    fails: defaultdict[Job, dict[int, Operation]] = defaultdict(dict)
    for grant in evidence.operations.of("begin", answers=("Granted",)):
        grants[grant.asked.job].setdefault(grant.token, grant)
    for fail in evidence.operations.of("fail"):
        if fail.answer not in ("Fenced", "Exhausted"):
            fails[fail.asked.job].setdefault(fail.token, fail)
    for job, failed in fails.items():
        for what in too_many(evidence, job, list(failed.values())):
            yield job[0], what
        for what in burned(evidence, job, list(failed.values())):
            yield job[0], what
    for job, granted in grants.items():
        for what in too_soon(evidence, job, [granted[token] for token in sorted(granted)]):
            yield job[0], what
    yield from given_up_early(evidence, grants, fails)


def limit_of(worker: Worker | None, job: Job) -> int:
    if worker is None:
        return 0
    return worker.undo_attempts if job[2] == "undo" else worker.attempts


def too_many(evidence: Evidence, job: Job, failed: list[Operation]) -> Iterator[str]:
    """More recorded failures than its policy allows for each of its lives."""
    limit = limit_of(evidence.workers.get(job[1].partition(":")[0]), job)
    row = evidence.rows[job[1]][1] if job[1] in evidence.rows else None
    asked = [redrive for redrive in evidence.operations.about(job, "redrive") if not redrive.failed]
    lives = 1 + max(row.redrives if row else 0, len(asked))
    sure = [fail for fail in failed if fail.answer in ("Retrying", "Dead")]
    if limit and len(sure) > limit * lives:
        yield f"{job[1]} ({job[2]}) failed {len(sure)} times in {lives} lives of {limit} attempts"


def burned(evidence: Evidence, job: Job, failed: list[Operation]) -> Iterator[str]:
    """Attempts that were spent on a fault of broker or store, though the handler had not raised it."""
    for fail in failed:
        error = fail.asked.detail.get("error_type", "")
        if error not in INFRASTRUCTURE:
            continue
        runs = [run for run in evidence.operations.about(job, "handler") if run.token == fail.token]
        if not any(run.ended is not None and run.ended.answer == error for run in runs):
            yield f"{job[1]} ({job[2]}) lost an attempt to {error}"


def too_soon(evidence: Evidence, job: Job, granted: list[Operation]) -> Iterator[str]:
    """Grants before the delay of the last failure, or of a wish to wait, had passed; and grants of old copies."""
    operations = evidence.operations
    redrives = operations.about(job, "redrive")
    work = evidence.rows[job[1]][1].of(job[2]) if job[1] in evidence.rows else None
    for before, after in pairwise(granted):
        if any(before.begun < redrive.over and redrive.begun < after.over for redrive in redrives):
            continue
        ends = [end for end in operations.about(job, "fail", "release") if end.token == before.token]
        for end in ends:
            if end.answer not in ("Retrying", "Released"):
                continue
            delay = end.asked.detail.get("delay", 0) or end.asked.detail.get("after", 0)
            since = max(ended_at(work, before.token), before.said("now", 0))
            if after.said("now", 0) < since + delay:
                early = since + delay - after.said("now", 0)
                yield f"{job[1]} ({job[2]}) was granted again {early} ms before its time"
            generation = end.ended.generation if end.ended is not None else 0
            if end.over < after.begun and after.asked.generation < generation:
                yield f"{job[1]} ({job[2]}): a copy of generation {after.asked.generation} ran after {generation}"


def ended_at(work: Work | None, token: int) -> int:
    """When an attempt ended by the store's clock, if its record still knows; else 0."""
    known = (
        [attempt.ended_at for attempt in work.attempts if attempt.token == token] if work is not None else []
    )
    return max(known, default=0)


def gave_a_life(redrive: Operation) -> bool:
    """Whether the job may have begun anew by it: not if it was refused, its letter gone, or it was known already."""
    return not redrive.confirmed or redrive.said("outcome") == "publish"


def given_up_early(
    evidence: Evidence, grants: dict[Job, dict[int, Operation]], fails: dict[Job, dict[int, Operation]]
) -> Iterator[Finding]:
    """Jobs that died of too many failures, or too many crashes, and had not so many."""
    for death in evidence.operations.of("fail", "begin", answers=("Dead",)):
        job = death.asked.job
        redrives = [one for one in evidence.operations.about(job, "redrive") if gave_a_life(one)]
        born = max((one.begun for one in redrives if one.begun < death.begun), default=-1)
        reason = death.said("reason")
        if reason == "attempts" and death.asked.op == "fail":
            limit = limit_of(evidence.workers.get(job[1].partition(":")[0]), job)
            spent = [fail for fail in fails[job].values() if born < fail.begun <= death.begun]
            if limit and len(spent) < limit:
                yield job[0], f"{job[1]} ({job[2]}) was given up after {len(spent)} failures of {limit}"
        elif reason == "crash_loop" and death.said("rows", None) is not None:
            held = [grant for grant in grants[job].values() if born < grant.begun < death.begun]
            # Who asked and died, or was never answered, may have been granted it.
            held += [
                begin
                for begin in evidence.operations.about(job, "begin")
                if not begin.confirmed and born < begin.begun < death.begun
            ]
            if len(held) <= CRASHES_ALLOWED:
                yield job[0], f"{job[1]} ({job[2]}) is said to have crashed, and began {len(held)} times"
