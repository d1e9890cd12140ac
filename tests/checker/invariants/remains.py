"""I16: when all is over nobody holds a lease any more, nothing is left behind, and no secret has been told."""

from __future__ import annotations

from collections.abc import Iterator

from pavane.core.record import JobKind, Record, Work
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant

Lease = tuple[str, JobKind, Work]
"""A step's key, whether the step or its undo is leased, and what its row says of it."""


@invariant("I16")
def nothing_remains(evidence: Evidence) -> Iterator[Finding]:
    """No lease without a holder, no handler without an end, nothing that was found where nothing should be."""
    for what in evidence.remains:
        yield "", what
    for key, record in evidence.records.items():
        for what in (*held_still(record, evidence.now), *counted_wrongly(record)):
            yield key, what
    yield from unended_handlers(evidence)
    for line in evidence.logs:
        if any(secret in line.text for secret in evidence.secrets):
            yield line.run, "a secret is in the logs"
        if line.exception and not line.run:
            yield "", f"an exception was logged without its run: {line.text[:100]}"


def leases_of(record: Record) -> Iterator[Lease]:
    """What the rows say is leased, step and undo apart."""
    for row in record.steps.values():
        if row.work.token:
            yield row.step, "step", row.work
        if row.undo is not None and row.undo.token:
            yield row.step, "undo", row.undo


def held_still(record: Record, now: int) -> Iterator[str]:
    """Leases that somebody holds. A dead holder's stays in its row until a begin takes it, and while the run is paused
    none does: the job is held with the run instead."""
    held = {(job.step, job.kind) for job in record.held.values()} if record.head.paused_at else ()
    left = [
        step for step, kind, work in leases_of(record) if work.lease_until > now or (step, kind) not in held
    ]
    if left:
        yield f"somebody still holds {', '.join(left)}"


def counted_wrongly(record: Record) -> Iterator[str]:
    """What the head counts, counted again over the rows."""
    head = record.head
    rows = record.steps.values()
    leases = sum(1 for _ in leases_of(record))
    if head.leases + head.other_leases != leases:
        yield f"{head.leases + head.other_leases} leases are counted, there are {leases}"
    retrying = sum(row.state == "retrying" for row in rows)
    if head.retrying != retrying:
        yield f"{head.retrying} retries are counted, there are {retrying}"
    if head.letters != len(record.letters):
        yield f"{head.letters} letters are counted, there are {len(record.letters)}"


def unended_handlers(evidence: Evidence) -> Iterator[Finding]:
    """Handlers that were still running when their process said that it had stopped."""
    stopped = {
        entry.process: place
        for place, entry in evidence.operations.happened["process"]
        if entry.what == "stopped"
    }
    for run in evidence.operations.of("handler"):
        end = stopped.get(run.asked.process)
        if end is not None and run.ended is None and run.begun < end:
            yield run.asked.record, f"{run.asked.step} still ran when {run.asked.process} had stopped"
