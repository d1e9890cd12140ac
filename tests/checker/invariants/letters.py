"""I13: dead letters and their index are one to one, and a redriven job is the same job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pavane.core.record import JobKind, Record
from tests.checker.evidence import Evidence, Found
from tests.checker.invariants.findings import Finding, invariant


@invariant("I13")
def letters_are_listed(evidence: Evidence) -> Iterator[Finding]:
    """Every indexed letter lies in its queue, every letter in a queue is indexed, or is known to be over."""
    lying = {
        (message.letter, message.generation) for message in evidence.queues if message.place == "letters"
    }
    for key, record in evidence.records.items():
        for letter in record.letters.values():
            if (letter.id, letter.generation) not in lying:
                yield key, f"the letter of {letter.step} is listed, and lies nowhere"
    for message in evidence.queues:
        if message.place == "letters":
            yield from judge_message(evidence, message)
    yield from keys_are_kept(evidence)


def judge_message(evidence: Evidence, message: Found) -> Iterator[Finding]:
    """A letter in a queue is in the index, or its job has moved on, so that any pass drops it."""
    record = evidence.records.get(message.record)
    if record is None:
        yield message.record, f"a letter of {message.step} is in {message.queue}, and its record is not there"
        return
    listed = record.letters.get(message.letter)
    row = record.steps.get(message.step)
    kind: JobKind = "undo" if message.kind == "undo" else "step"
    work = row.of(kind) if row is not None else None
    if listed is None and not is_over(record, message, work.generation if work else 0):
        yield message.record, f"a letter of {message.step} is in {message.queue}, and in no index"
    if listed is not None and message.generation > listed.generation:
        yield (
            message.record,
            f"the letter of {message.step} lies there as {message.generation}, listed {listed.generation}",
        )


def is_over(record: Record, message: Found, generation: int) -> bool:
    """Whether a letter that is not listed was dealt with: its job moved on, or it was discarded. Any pass drops it."""
    discarded = any(line.step == message.step and line.reason == "discarded" for line in record.history)
    return message.step in record.steps and (message.generation < generation or discarded)


def keys_are_kept(evidence: Evidence) -> Iterator[Finding]:
    """A job has one idempotency key in all its attempts, and no other has it but one that an edit made of it."""
    keys: defaultdict[tuple[str, str, JobKind], set[str]] = defaultdict(set)
    jobs: defaultdict[str, set[tuple[str, str, JobKind]]] = defaultdict(set)
    for run in evidence.operations.of("handler"):
        keys[run.asked.job].add(run.asked.detail["key"])
    for effect in evidence.effects:
        keys[effect.record, effect.step, effect.kind].add(effect.key)
    for job, known in keys.items():
        if len(known) > 1:
            yield job[0], f"{job[1]} ({job[2]}) was given {len(known)} idempotency keys"
        for key in known:
            jobs[key].add((job[0], first_of(evidence, job[1]), job[2]))
    for key, owners in jobs.items():
        if len(owners) > 1:
            steps = sorted(step for _, step, _ in owners)
            yield min(owners)[0], f"the idempotency key {key} was given to {', '.join(steps)}"


def first_of(evidence: Evidence, step: str) -> str:
    """The step whose dead letter was edited to this one, and so on; or itself."""
    while step in evidence.rows and evidence.rows[step][1].replaces:
        step = evidence.rows[step][1].replaces
    return step
