"""I7: every message that was accepted is in one place: done, waiting, held, or a dead letter. Nothing vanishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pavane.core.record import JobKind, Record, StepRow
from tests.checker.evidence import Evidence
from tests.checker.history import Entry
from tests.checker.invariants.acknowledged import acked_too_early
from tests.checker.invariants.findings import Finding, invariant

OVER = ("committed", "skipped", "refused", "undone", "dead", "undo_stuck")
SETTLED = ("Refused", "Recorded", "UnknownRun", "Committed", "Dead", "Stale")
"""Answers after which a job without a row needs no further message."""

Work = tuple[str, JobKind]
"""A step's key, and whether it is meant or its undo. The record follows: an event is in one only."""


@invariant("I7")
def everything_is_somewhere(evidence: Evidence) -> Iterator[Finding]:
    """All is done or listed, nothing is left in between, and nothing was acknowledged before it was safe."""
    for message in evidence.queues:
        if message.place in ("queue", "wheel", "intake"):
            yield message.record, f"{message.step or message.event or 'a message'} is left in {message.queue}"
    waiting = waiting_jobs(evidence)
    for key, record in evidence.records.items():
        for row in record.steps.values():
            for kind in unfinished(record, row):
                if not waiting[row.step, kind]:
                    what = f"the undo of {row.step}" if kind == "undo" else row.step
                    yield key, f"{what} is {row.state}, and no message can bring it on"
    yield from vanished(evidence, waiting)
    yield from acked_too_early(evidence)


def waiting_jobs(evidence: Evidence) -> Counter[Work]:
    """How many messages there are of each job: in queues, held with a paused run, or in an outbox."""
    found: Counter[Work] = Counter(
        (message.step, message.kind) for message in evidence.queues if message.place != "letters"
    )
    for record in evidence.records.values():
        found.update((held.step, held.kind) for held in record.held.values())
        for row in record.outbox.values():
            if row.kind != "event":
                found[row.step, "undo" if row.kind == "undo" else "step"] += 1
    return found


def unfinished(record: Record, row: StepRow) -> Iterator[JobKind]:
    """Which of the step and its undo should still go on."""
    if row.state in ("running", "retrying"):
        yield "step"
    if row.undo is not None and not row.undo.done and row.state == "undoing":
        yield "undo"
    if row.state not in (*OVER, "running", "retrying", "undoing"):
        raise ValueError(f"{record.head.key}: {row.step} is {row.state}")


def vanished(evidence: Evidence, waiting: Mapping[Work, int]) -> Iterator[Finding]:
    """Messages that were delivered and acknowledged, and that no record, letter or answer tells of."""
    answered = {
        (call.asked.step, call.asked.kind)
        for call in evidence.operations.of("begin", "reject")
        if call.answer in (*SETTLED, "Granted", "PutBack")
    }
    letters = {
        (letter.step, letter.event)
        for record in evidence.records.values()
        for letter in record.letters.values()
    }
    for entry in job_deliveries(evidence):
        job: Work = (entry.step, entry.kind)
        if job in answered or waiting[job] or (entry.step, entry.event) in letters:
            continue
        if not rejected_under_another_name(evidence, entry):
            yield entry.record, f"{entry.step} was delivered, and nobody knows of it any more"


def job_deliveries(evidence: Evidence) -> Iterator[Entry]:
    """Deliveries of jobs and undos that were acknowledged, each job once."""
    seen: set[Work] = set()
    for _, entry in evidence.operations.happened["ack"]:
        job: Work = (entry.step, entry.kind)
        if entry.detail["queue"].split(".")[1] in ("q", "undo") and job not in seen:
            seen.add(job)
            yield entry


def rejected_under_another_name(evidence: Evidence, entry: Entry) -> bool:
    """A message whose id or step cannot be read is rejected under a name that is made for it."""
    return any(
        call.asked.worker == entry.worker and call.answer == "Dead" and not call.asked.event
        for call in evidence.operations.of("reject")
    )
