"""I16: when all is over nothing is held any more, nothing is left behind, and no secret has been told."""

from __future__ import annotations

from collections.abc import Iterator

from pavane.core.record import Record
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant


@invariant("I16")
def nothing_remains(evidence: Evidence) -> Iterator[Finding]:
    """No lease without a holder, no handler without an end, nothing that was found where nothing should be."""
    for what in evidence.remains:
        yield "", what
    for key, record in evidence.records.items():
        for what in counted_wrongly(record):
            yield key, what
    yield from unended_handlers(evidence)
    for line in evidence.logs:
        if any(secret in line.text for secret in evidence.secrets):
            yield line.run, "a secret is in the logs"
        if line.exception and not line.run:
            yield "", f"an exception was logged without its run: {line.text[:100]}"


def counted_wrongly(record: Record) -> Iterator[str]:
    """What the head counts, counted again over the rows."""
    head = record.head
    rows = record.steps.values()
    held = [row.step for row in rows if row.work.token] + [
        row.step for row in rows if row.undo and row.undo.token
    ]
    if held:
        yield f"somebody still holds {', '.join(held)}"
    if head.leases + head.other_leases != len(held):
        yield f"{head.leases + head.other_leases} leases are counted, {len(held)} are held"
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
