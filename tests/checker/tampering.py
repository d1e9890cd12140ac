"""Tampering with an afternoon at the post: the list of ways, and which entry each of them lays its hands on."""

from __future__ import annotations

from collections.abc import Callable

from tests.checker.evidence import Evidence
from tests.checker.history import Entry
from tests.checker.stories import entries

Tampering = Callable[[Evidence], Evidence]
TAMPERINGS: list[tuple[str, Tampering]] = []

SECOND = 1_000_000_000


def breaks(invariant: str) -> Callable[[Tampering], Tampering]:
    def noted(tampering: Tampering) -> Tampering:
        TAMPERINGS.append((invariant, tampering))
        return tampering

    return noted


def begun(evidence: Evidence, name: str, worker: str, nth: int = 0) -> Entry:
    """The answer that granted a job."""
    granted = entries(
        evidence,
        op="begin",
        type="ok",
        answer="Granted",
        record=f"parcels:{name}",
        worker=f"post.{worker}",
        kind="step",
    )
    return granted[nth]


def ended(evidence: Evidence, name: str, worker: str, op: str = "commit", type: str = "ok") -> Entry:
    """The last entry of this kind about a job."""
    return entries(
        evidence, op=op, type=type, record=f"parcels:{name}", worker=f"post.{worker}", kind="step"
    )[-1]


def asked(evidence: Evidence, answer: Entry) -> Entry:
    """The invocation that an entry ends."""
    [found] = entries(evidence, seq=answer.of)
    return found
