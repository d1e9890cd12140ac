"""I3 and I4: a step commits once, by whoever holds it, after its handler has run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pavane.core.record import Record
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.invariants.leases import leases_are_kept, tokens_are_granted_once
from tests.checker.operations import Job, Operation, Operations

COMMITS = ("commit", "commit_undo")
DONE = ("Committed", "Late")


def accepted(operations: Operations) -> dict[Job, dict[int, list[Operation]]]:
    """The commits of every job that were answered as done, by token."""
    found: defaultdict[Job, defaultdict[int, list[Operation]]] = defaultdict(lambda: defaultdict(list))
    for commit in operations.of(*COMMITS, answers=DONE):
        found[commit.asked.job][commit.token].append(commit)
    return {job: dict(tokens) for job, tokens in found.items()}


@invariant("I3")
def committed_once(evidence: Evidence) -> Iterator[Finding]:
    """At most one commit for each step and undo, and its effect on the state is there once."""
    for (key, step, kind), tokens in accepted(evidence.operations).items():
        what = f"the undo of {step}" if kind == "undo" else step
        if len(tokens) > 1:
            yield key, f"{what} was committed under the tokens {', '.join(map(str, sorted(tokens)))}"
        record = evidence.records.get(key)
        row = record.steps.get(step) if record else None
        work = row.of(kind) if row else None
        if work is None or not work.done:
            yield key, f"{what} was committed, and its record does not know"
    for key, record in evidence.records.items():
        for what in counted_twice(record):
            yield key, what
    yield from data_is_what_was_committed(evidence)


def counted_twice(record: Record) -> Iterator[str]:
    """Commits that a record has more or fewer of than it says."""
    for row in record.steps.values():
        for work in (row.work, row.undo):
            ended = [attempt.outcome for attempt in work.attempts] if work else []
            if sum(outcome in ("committed", "late") for outcome in ended) > 1:
                yield f"{row.step} has more than one committed attempt: {', '.join(ended)}"
    orders = sorted(row.order for row in record.steps.values() if row.order)
    if orders != list(range(1, record.head.commits + 1)):
        yield f"its commits have the numbers {orders}, of {record.head.commits}"


def data_is_what_was_committed(evidence: Evidence) -> Iterator[Finding]:
    """Each key of a run's data holds what some commit wrote there, and no commit's key is missing."""
    wrote: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    maybe: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for commit in evidence.operations.of("commit"):
        place = wrote if commit.answer in DONE else maybe
        if commit.answer in DONE or not commit.confirmed:  # who was killed may have written it all the same
            for name, value in commit.asked.detail.get("data", ()):
                place[commit.asked.record, name].add(value)
    for (key, name), values in wrote.items():
        record = evidence.records.get(key)
        if record is not None and evidence.digest(record.data.get(name)) not in values | maybe[key, name]:
            yield key, f"its data {name} is not what a step has committed"


@invariant("I4")
def only_the_holder_commits(evidence: Evidence) -> Iterator[Finding]:
    """A commit's token was granted, its handler was started under it, and nobody else held the job by then."""
    operations = evidence.operations
    watched = any(True for _ in operations.of("handler"))
    effects = {(effect.record, effect.step, effect.kind, effect.token) for effect in evidence.effects}
    for job, tokens in accepted(operations).items():
        key, step, kind = job
        worker = evidence.workers.get(step.partition(":")[0])
        grants = operations.about(job, "begin", answers=("Granted",))
        for token, commits in tokens.items():
            begun = operations.first_of(
                [commit for commit in operations.about(job, *COMMITS) if commit.token == token] or commits
            )
            holders = {grant.asked.process for grant in grants if grant.token == token and grant.over < begun}
            for stranger in sorted({commit.asked.process for commit in commits} - holders):
                yield key, f"{step} was committed by {stranger} under token {token}, which it was not granted"
            newer = [grant.token for grant in grants if grant.token > token and grant.over < begun]
            if newer:
                yield key, f"{step} was committed under token {token} after {max(newer)} had been granted"
            started = any(
                run.token == token and run.begun < begun for run in operations.about(job, "handler")
            )
            told = watched or (worker is not None and worker.effects)
            if told and not started and (key, step, kind, token) not in effects:
                yield key, f"{step} was committed under token {token}, whose handler never started"
    yield from tokens_are_granted_once(evidence)
    yield from leases_are_kept(evidence)
