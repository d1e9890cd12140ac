"""How an invariant says what it has found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps

from tests.checker.evidence import Evidence
from tests.checker.verdict import Violation

Finding = tuple[str, str]
"""The record it is about (empty: none), and what is wrong."""


def invariant(
    number: str,
) -> Callable[[Callable[[Evidence], Iterator[Finding]]], Callable[[Evidence], list[Violation]]]:
    """Turn a generator of findings into the function that judges invariant `number`; each finding is told once."""

    def judging(find: Callable[[Evidence], Iterator[Finding]]) -> Callable[[Evidence], list[Violation]]:
        @wraps(find)
        def judge(evidence: Evidence) -> list[Violation]:
            told = dict.fromkeys(find(evidence))
            return [Violation(invariant=number, record=record, what=what) for record, what in told]

        return judge

    return judging
