"""I14: what was committed was done outside, under a token that was granted; what was done twice is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.verdict import Violation


@invariant("I14")
def effects_are_known(evidence: Evidence) -> Iterator[Finding]:
    """Every committed step of a worker that writes to the ledger has an effect there, and every effect a grant."""
    done = {
        (effect.record, effect.step) for effect in evidence.effects if effect.kind == "step" and effect.ended
    }
    granted = {
        (*grant.asked.job, grant.token) for grant in evidence.operations.of("begin", answers=("Granted",))
    }
    for key, record in evidence.records.items():
        for row in record.steps.values():
            worker = evidence.workers.get(row.worker)
            if worker is None or not worker.effects or not row.known or row.first_token == 0:
                continue
            if (key, row.step) not in done:
                yield key, f"{row.step} is committed, and the ledger has nothing of it"
    for effect in evidence.effects:
        if (effect.record, effect.step, effect.kind, effect.token) not in granted:
            yield (
                effect.record,
                f"{effect.step} did something under token {effect.token}, which nobody was granted",
            )


def repeated_effects(evidence: Evidence) -> list[Violation]:
    """What was done more than once under one key: allowed, and told."""
    often = Counter((effect.record, effect.step, effect.kind) for effect in evidence.effects)
    return [
        Violation(invariant="I14", record=key, what=f"{step} ({kind}) was done {count} times")
        for (key, step, kind), count in often.items()
        if count > 1
    ]
