"""I8 and I9: in a failing run exactly what was done is undone, in the right order, and nothing new begins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from pavane.core.record import History, Record, StepRow
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.invariants.sources import sources_of
from tests.checker.operations import Job

FAILING = ("compensating", "failed", "compensated", "cancelled")


@invariant("I8")
def undone_is_what_was_done(evidence: Evidence) -> Iterator[Finding]:
    """What has to be undone is done, undone once each or listed as stuck, latest commit first."""
    for key, record in evidence.records.items():
        head = record.head
        done = [line.step for line in lines(record, "undo_done")]
        if len(set(done)) < len(done):
            yield key, f"was undone more than once: {', '.join(done)}"
        began = began_in(evidence, record)
        if head.phase not in FAILING or head.chain == "waiting" or head.leave:
            if done or record.undo:
                yield key, f"{', '.join(done + record.undo)} undone in a run that is {head.phase}"
            continue
        expected = undo_order(evidence, record, began)
        if head.phase != "compensating" and set(done) != set(expected):
            yield key, f"{told(done)} undone, but {told(expected)} was to be undone"
        if head.phase == "compensating" and set(done) | set(record.undo) != set(expected):
            yield key, f"{told(done + record.undo)} is being undone, but {told(expected)} was to be"
        if head.contract is not None and head.contract.undo == "sequential":
            order = [step for step in expected if step in done]
            if order != [step for step in done if step in expected]:
                yield key, f"was undone in the order {told(done)} instead of {told(order)}"
            yield from one_after_the_other(evidence, key, expected)
        else:
            yield from causes_last(record, done)
    yield from undone_outside(evidence)


def told(steps: list[str]) -> str:
    return ", ".join(steps) or "nothing"


def lines(record: Record, *kinds: str) -> list[History]:
    return [line for line in record.history if line.kind in kinds]


def began_in(evidence: Evidence, record: Record) -> dict[str, int]:
    """The steps of a record that somebody was granted, as the history knows, with the first token of each.

    Where the first grant may have been one whose answer was lost, the record alone knows its token.
    """
    found = {row.step: row.first_token for row in record.steps.values() if row.first_token}
    for step in record.steps:
        job: Job = record.head.key, step, "step"
        grants = evidence.operations.about(job, "begin", answers=("Granted",))
        if not grants:
            continue
        first = min(grants, key=lambda grant: grant.token)
        asked = evidence.operations.about(job, "begin")
        if step not in found or not any(not one.confirmed and one.begun < first.over for one in asked):
            found[step] = first.token
    return found


def undo_order(evidence: Evidence, record: Record, began: Mapping[str, int]) -> list[str]:
    """P5, written down once more: unknown outcomes first, latest begun first; then the latest commit first."""
    due = [row for row in record.steps.values() if row.step in began and is_due(evidence, record, row)]
    due.sort(key=lambda row: (row.order > 0, -row.order, -began[row.step]))
    return [row.step for row in due]


def is_due(evidence: Evidence, record: Record, row: StepRow) -> bool:
    worker = evidence.workers.get(row.worker)
    if worker is None or worker.undo is None or row.closing:
        return False
    contract = record.head.contract
    if row.known and contract is not None and names_of(evidence, record, row) & set(contract.fails):
        return False
    if not row.known:
        return worker.undo.uncertain
    result = record.events[row.result].name if row.result else ""
    return worker.undo.admits is None or result in worker.undo.admits


def names_of(evidence: Evidence, record: Record, row: StepRow) -> set[str]:
    """Names of the events that the step's own handler has committed, those of a late commit too."""
    commits = evidence.operations.about((record.head.key, row.step, "step"), "commit")
    own = [commit for commit in commits if commit.token == row.work.ended_token]
    return {name for commit in own for _, name, _ in commit.asked.detail.get("events", ())}


def one_after_the_other(evidence: Evidence, key: str, expected: list[str]) -> Iterator[Finding]:
    """In a chain, an undo starts only when the one before it is being committed."""
    operations = evidence.operations
    for before, after in pairwise(expected):
        ended = operations.first_of(operations.about((key, before, "undo"), "commit_undo"))
        starts = operations.about((key, after, "undo"), "begin", answers=("Granted",))
        if any(start.over < ended for start in starts):
            yield key, f"the undo of {after} began before that of {before} had ended"


def causes_last(record: Record, done: list[str]) -> Iterator[Finding]:
    """Side by side, the undo of a step comes after those of the steps that it caused."""
    emitter = {event: row.step for row in record.steps.values() for event in row.emitted}
    place = {step: number for number, step in enumerate(done)}
    for row in record.steps.values():
        for event in begun_with(record, row):
            cause = emitter.get(event, "")
            too_early = cause in place and row.step in place and place[cause] < place[row.step]
            if too_early and record.steps[cause].first_token < row.first_token:
                yield record.head.key, f"{cause} was undone before {row.step}, which it caused"


def begun_with(record: Record, row: StepRow) -> tuple[str, ...]:
    join = record.joins.get(row.worker)
    if join is not None and join.event == row.event:
        return tuple(event for _, event in join.arrived)
    return (row.event,)


def undone_outside(evidence: Evidence) -> Iterator[Finding]:
    """What was undone was undone outside as well, and only steps that are known to have begun did anything."""
    undone = {
        (effect.record, effect.step) for effect in evidence.effects if effect.kind == "undo" and effect.ended
    }
    for key, record in evidence.records.items():
        for row in record.steps.values():
            worker = evidence.workers.get(row.worker)
            effects = worker is not None and worker.effects
            if row.state == "undone" and effects and (key, row.step) not in undone:
                yield key, f"{row.step} is undone, and nothing of it was undone outside"


@invariant("I9")
def nothing_begins_in_a_failing_run(evidence: Evidence) -> Iterator[Finding]:
    """No undo without a failing run; in one, only closing steps begin, and only their events go out."""
    for key, record in evidence.records.items():
        failing = lines(record, "compensation_started")
        for line in lines(record, "undo_started"):
            if not failing or line.seq < failing[0].seq:
                yield key, f"{line.step} was undone before the run was failing"
        if failing:
            yield from begun_late(evidence, record, failing[0])
    yield from withheld_and_seen(evidence)


def begun_late(evidence: Evidence, record: Record, failing: History) -> Iterator[Finding]:
    """Forward steps that began, or gave events away, when the run was failing already."""
    key = record.head.key
    for line in lines(record, "step_started", "event_emitted"):
        row = record.steps.get(line.step)
        if line.seq > failing.seq and row is not None and not row.closing:
            yield key, f"{line.step}: {line.kind} in a run that was failing"
    for row in record.steps.values():
        if not row.closing and any(now > failing.at for now in first_grants(evidence, key, row.step)):
            yield key, f"{row.step} began in a run that was failing"


def first_grants(evidence: Evidence, key: str, step: str) -> Iterator[int]:
    """When leases of a step were granted, by the store's clock. A call that was sent again is answered as before."""
    asked: set[str] = set()
    for begin in evidence.operations.about((key, step, "step"), "begin"):
        name = begin.asked.detail["begin_id"]
        if name not in asked and begin.answer == "Granted":
            yield begin.said("now", 0)
        asked.add(name)


def withheld_and_seen(evidence: Evidence) -> Iterator[Finding]:
    """Events of late commits are withheld: nobody may ever see them."""
    late: defaultdict[str, set[str]] = defaultdict(set)
    for commit in evidence.operations.of("commit", answers=("Late",)):
        for event, _, _ in commit.asked.detail.get("events", ()):
            late[event].add(commit.asked.record)
    if not late:
        return
    known = sources_of(evidence)
    for publish in evidence.operations.of("publish"):
        event = publish.asked.event
        by_others = any(
            source.operation.asked.op != "commit" or source.operation.answer == "Committed"
            for source in known.get(event, [])
        )
        if event in late and publish.asked.kind == "step" and not by_others:
            yield publish.asked.record, f"{event} of a late commit was published"
