"""I1 and I2: a start makes one run, and no run ever hangs in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pavane.core.record import Record
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.invariants.sources import sources_of

ENDED = ("completed", "failed", "compensated", "cancelled")


@invariant("I1")
def one_run_for_each_start(evidence: Evidence) -> Iterator[Finding]:
    """Every accepted start leads to exactly one run, every other to none or one, and none begins by itself."""
    begun_with: defaultdict[str, set[str]] = defaultdict(set)
    for start in evidence.operations.of("start", answers=("Started",)):
        key = start.asked.record
        begun_with[key].add(start.said("event_id"))
        if key not in evidence.records:
            yield key, "was started, and is not there"
    for key, events in begun_with.items():
        record = evidence.records.get(key)
        if len(events) > 1:
            yield key, f"was started by more than one event: {', '.join(sorted(events))}"
        elif record is not None and record.head.start_event not in events:
            yield key, f"was started by {', '.join(events)}, but began with {record.head.start_event}"
    for planned in evidence.plan.starts:
        if planned.asked == "ok" and planned.record not in evidence.records:
            yield planned.record, "was accepted, and is not there"
    yield from unasked(evidence)


def unasked(evidence: Evidence) -> Iterator[Finding]:
    """Runs that began with an event which nobody started them with, and no step emitted."""
    known = sources_of(evidence)
    for key, record in evidence.records.items():
        event = record.head.start_event
        if record.head.is_run and event not in known and event not in evidence.plan.outside:
            yield key, f"nobody asked for it: its starting event {event} is from nowhere"


@invariant("I2")
def never_silent(evidence: Evidence) -> Iterator[Finding]:
    """Every run has ended, or is listed as waiting, paused or stalled, with a reason that is true."""
    for key, record in evidence.records.items():
        if not record.head.is_run:
            continue
        if record.head.phase not in ENDED and not is_listed(record):
            yield key, f"is {record.head.phase}, and nothing says why it does not go on"
        if record.head.phase == "running":
            yield from untold_letters(record)
        yield from empty_reasons(record)


def is_listed(record: Record) -> bool:
    head = record.head
    waits = head.phase == "running" and any(not join.fired for join in record.joins.values())
    return bool(head.paused_at or head.stalled or record.timers or waits)


def untold_letters(record: Record) -> Iterator[Finding]:
    """Dead letters that a running run waits for, and that its reasons do not name."""
    for letter in record.letters.values():
        row = record.steps.get(letter.step)
        if row is None or row.closing or letter.answered or row.replaces or letter.kind == "undo":
            continue
        if f"dead:{letter.step}" not in record.head.stalled:
            yield record.head.key, f"waits for the dead letter of {letter.step}, and is not stalled for it"


def empty_reasons(record: Record) -> Iterator[Finding]:
    """Reasons that name a letter which is not there."""
    dead = {letter.step for letter in record.letters.values()}
    for reason in record.head.stalled:
        what, _, step = reason.partition(":")
        if what in ("dead", "undo_stuck") and step not in dead:
            yield record.head.key, f"is stalled for {reason}, but there is no such letter"
