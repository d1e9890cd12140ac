"""The figures of a storm, for a program and for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chaos.storm.result import Result


def document(result: Result) -> dict[str, Any]:
    """The object that `JSON=1` prints."""
    return {
        "ok": not result.violations,
        "seed": result.plan.seed,
        "mode": result.plan.mode,
        "minutes": result.plan.minutes,
        "elapsed_s": round(result.elapsed, 1),
        "faults": dict(sorted(result.struck.items())),
        "on_the_wire": dict(result.did),
        "runs": {"checked": result.runs.total(), "by_status": dict(result.runs.most_common())},
        "worst_recovery_s": {
            kind: {"after_its_end": round(one.after, 2), "standstill": round(one.standstill, 2)}
            for kind, one in sorted(result.recovered.items())
        },
        "longest_end_after_sigterm_s": round(result.replaced_in, 1),
        "redriven": dict(result.redriven),
        "steered": dict(result.steered),
        "judged": {cast: dict(counts) for cast, counts in result.counts.items()},
        "reports": result.reports,
        "violations": result.violations,
    }


def sentences(result: Result) -> Iterator[str]:
    """The same for a person."""
    yield f"{sum(result.struck.values())} faults: {listed(result.struck)}."
    if result.did:
        yield f"On the wire: {listed(result.did)}."
    yield f"{result.runs.total()} runs checked: {listed(dict(result.runs.most_common()))}."
    for kind, one in sorted(result.recovered.items()):
        yield (
            f"  {kind}: at worst {one.standstill:.1f} s without any commit, "
            f"the next one {one.after:.1f} s after its end"
        )
    if result.redriven:
        yield f"Letters sent back: {listed(result.redriven)}."
    for cast, counts in result.counts.items():
        yield f"Judged of {cast}: {listed(counts)}."
    if result.reports:
        yield f"{len(result.reports)} reports, the first: {result.reports[0]}"
    if not result.violations:
        yield "Nothing was violated."
        return
    yield f"{len(result.violations)} violations:"
    yield from (f"  {violation}" for violation in result.violations)


def listed(counts: Any) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
