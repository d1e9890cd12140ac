"""I5 and I6: what is on the wire was committed, and what was committed arrives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pavane.core.record import OutboxRow, Record
from tests.checker.evidence import Evidence
from tests.checker.history import Entry
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.invariants.sources import FRAMEWORK, Source, sources_of
from tests.checker.operations import Operations


def seen_events(operations: Operations) -> Iterator[tuple[int, Entry]]:
    """Every time that an event, or a job with it, was on the wire. An undo's wake-up carries no payload of its own."""
    for publish in operations.of("publish"):
        if publish.asked.kind == "step" and not publish.failed:
            yield publish.begun, publish.asked
    for place, delivery in operations.happened["deliver"]:
        if delivery.kind == "step":
            yield place, delivery


@invariant("I5")
def the_wire_is_committed(evidence: Evidence) -> Iterator[Finding]:
    """An event is visible only after its step's commit, and neither its id nor its payload ever varies."""
    known = sources_of(evidence)
    first: dict[str, tuple[int, Entry]] = {}
    payloads: defaultdict[str, set[str]] = defaultdict(set)
    for place, entry in seen_events(evidence.operations):
        if entry.event and (entry.event not in first or place < first[entry.event][0]):
            first[entry.event] = place, entry
        payloads[entry.event].add(entry.payload)
    for event, (place, entry) in first.items():
        if event not in evidence.plan.outside and not is_own(evidence, event):
            for what in why_a_ghost(evidence, event, place, known.get(event, [])):
                yield entry.record, what
    for event, sources in known.items():
        payloads[event] |= {source.payload for source in sources if source.payload} - {""}
    for event, different in payloads.items():
        if event and len(different) > 1 and event not in evidence.plan.outside:
            yield first[event][1].record if event in first else "", f"{event} has {len(different)} payloads"
    yield from ids_vary(evidence)


def is_own(evidence: Evidence, event: str) -> bool:
    """Whether it is one of pavane's events about a run, or a join's: transitions write those by themselves."""
    return any(
        event in record.events and record.events[event].name.startswith(FRAMEWORK)
        for record in evidence.records.values()
    )


def why_a_ghost(evidence: Evidence, event: str, place: int, sources: list[Source]) -> Iterator[str]:
    """Why an event should not have been seen at this place."""
    if not sources:
        yield f"{event} is on the wire, and nobody has written it"
        return
    if all(source.operation.begun > place for source in sources):
        yield f"{event} was on the wire before it was committed"
    commits = [source.operation for source in sources if source.operation.asked.op == "commit"]
    if len(commits) == len(sources):
        step, key = commits[0].asked.step, commits[0].asked.record
        record = evidence.records.get(key)
        row = record.steps.get(step) if record is not None else None
        if record is not None and (row is None or not row.known):
            yield f"{event} is on the wire, and {step} is not committed"


def ids_vary(evidence: Evidence) -> Iterator[Finding]:
    """Whoever commits a step gives its n-th event the same id."""
    given: defaultdict[tuple[str, str, int], set[str]] = defaultdict(set)
    for commit in evidence.operations.of("commit"):
        for place, (event, _, _) in enumerate(commit.asked.detail.get("events", ())):
            given[commit.asked.record, commit.asked.step, place].add(event)
    for (key, step, place), ids in given.items():
        if len(ids) > 1:
            yield key, f"event {place} of {step} was given {len(ids)} ids"


@invariant("I6")
def committed_events_arrive(evidence: Evidence) -> Iterator[Finding]:
    """Every committed event has reached the queue of every subscriber, or is listed as unrouted or unroutable."""
    reached = arrivals(evidence)
    unrouted = {row for mark in evidence.operations.of("mark") for row in mark.asked.detail["unrouted"]}
    for key, record in evidence.records.items():
        for row in record.outbox.values():
            if not is_told(record, row):
                yield key, f"the {row.kind} {row.id} was never published"
        for event in emitted(record):
            name = record.events[event].name
            for worker in evidence.workers.values():
                if name not in worker.events or (worker.name, event) in reached:
                    continue
                if event not in unrouted and event not in record.outbox:
                    yield key, f"{name} ({event}) never reached {worker.name}"


def arrivals(evidence: Evidence) -> set[tuple[str, str]]:
    """Which events have reached a worker's queue: delivered from it, or lying in it."""
    found = {(entry.worker, entry.event) for _, entry in evidence.operations.happened["deliver"]}
    found |= {(message.worker, message.event) for message in evidence.queues}
    # A message of a queue that the broker gave up on is read by its intake, whose deliveries name no worker.
    found |= {(call.asked.worker, call.asked.event) for call in evidence.operations.of("begin", "reject")}
    return found


def emitted(record: Record) -> Iterator[str]:
    """The events that a record has given away, as it says itself: those of late steps are withheld."""
    if record.head.start_event:
        yield record.head.start_event
    for row in record.steps.values():
        if row.known and not row.late:
            yield from (event for event in row.emitted if event in record.events)


def is_told(record: Record, row: OutboxRow) -> bool:
    """Whether a row that is left in the outbox came back, and the run is listed for that."""
    if row.kind == "event":
        return f"unroutable:{record.events[row.id].name}" in record.head.stalled
    worker = row.worker if row.kind == "job" else record.steps[row.step].worker
    return f"no_queue:{worker}" in record.head.stalled
