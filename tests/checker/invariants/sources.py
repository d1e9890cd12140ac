"""Where events come from: which operations may have written each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.checker.evidence import Evidence
from tests.checker.operations import Operation

FRAMEWORK = "pavane."
"""Events of this prefix are pavane's own: transitions write them, no call names them."""


@dataclass(frozen=True, slots=True)
class Source:
    """An operation that may have written an event, with the payload that it gave it (empty: not known)."""

    operation: Operation
    payload: str


def sources_of(evidence: Evidence) -> Mapping[str, list[Source]]:
    """By event id."""
    found: defaultdict[str, list[Source]] = defaultdict(list)
    for event, operation, payload in written(evidence):
        found[event].append(Source(operation, payload))
    return found


def written(evidence: Evidence) -> Iterator[tuple[str, Operation, str]]:
    operations = evidence.operations
    for operation in operations.of("start", "emit", "skip", "edit"):
        yield operation.asked.event, operation, operation.asked.payload
    for operation in operations.of("begin", "fail", "reject"):
        if answer := operation.asked.detail.get("answer"):
            yield answer, operation, ""
    for operation in operations.of("commit"):
        for event, _, payload in operation.asked.detail.get("events", ()):
            yield event, operation, payload
        for _, _, _, event, _, payload in operation.asked.detail.get("timers", ()):
            yield event, operation, payload
