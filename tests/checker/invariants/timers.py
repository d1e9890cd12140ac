"""I10 and I11: timers fire once and not too early; joins fire when they are complete, and then once.

A gather that is not `on_all` will have to add: its member set is that of the commit that fanned out; every member is
counted once, by its first result; a dead member counts as failed at once; it fires at its deadline if not before; what
comes later is recorded and counted nowhere. A gate: its job begins after a decision that was allowed, once for each
opening; one vote for each person and level.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pavane.core.kept import Join
from pavane.core.record import Record
from tests.checker.evidence import Evidence
from tests.checker.invariants.findings import Finding, invariant
from tests.checker.operations import Operation


@dataclass(frozen=True, slots=True)
class SetTimer:
    """A timer as its commit asked for it; `at` relative or not."""

    commit: Operation
    key: str
    at: int
    relative: bool
    event: str


def set_timers(evidence: Evidence) -> Iterator[SetTimer]:
    for commit in evidence.operations.of("commit", answers=("Committed",)):
        for key, at, relative, event, _, _ in commit.asked.detail.get("timers", ()):
            yield SetTimer(commit, key, at, relative, event)


@invariant("I10")
def timers_fire_once(evidence: Evidence) -> Iterator[Finding]:
    """A timer fires once, not before its time, and not if it was cancelled; what is due has fired."""
    fired, timers, cancels = first_ticks(evidence), list(set_timers(evidence)), cancelling(evidence)
    sets = Counter((timer.commit.asked.record, timer.key) for timer in timers)
    for timer in timers:
        named = timer.commit.asked.record, timer.key
        yield from judge_timer(
            evidence, timer, fired.get(timer.event), cancels[named], is_only=sets[named] == 1
        )
    for key, record in evidence.records.items():
        lines = Counter((line.kind, dict(line.detail).get("key", "")) for line in record.history)
        for (kind, name), count in lines.items():
            if kind == "timer_fired" and count > lines["timer_set", name]:
                yield (
                    key,
                    f"the timer {name} fired {count} times, and was set {lines['timer_set', name]} times",
                )
        for waiting in record.timers.values():
            overdue = evidence.now - waiting.at
            if overdue > evidence.plan.late:
                yield key, f"the timer {waiting.key} was due {overdue} ms ago, and has not fired"
        yield from fired_late(evidence, record)
    yield from deadlines_passed(evidence)


def first_ticks(evidence: Evidence) -> dict[str, tuple[int, Operation]]:
    """By event: the store's time of the first tick that had it published, and that tick."""
    found: dict[str, tuple[int, Operation]] = {}
    for tick in evidence.operations.of("tick", answers=("Tick",)):
        for row in tick.rows:
            if row[1] == "event":
                found.setdefault(row[3], (tick.said("now", 0), tick))
    return found


def judge_timer(
    evidence: Evidence,
    timer: SetTimer,
    fired: tuple[int, Operation] | None,
    cancels: Sequence[Operation],
    *,
    is_only: bool,
) -> Iterator[Finding]:
    """Args:
    cancels: of a timer of this name, in this record.
    is_only: the name was set once.
    """
    asked = timer.commit.asked
    record = evidence.records.get(asked.record)
    if fired is not None:
        at, tick = fired
        grants = evidence.operations.about(asked.job, "begin", answers=("Granted",))
        begun = max((grant.said("now", 0) for grant in grants if grant.token == asked.token), default=0)
        due = begun + timer.at if timer.relative else timer.at
        if at < due:
            yield asked.record, f"the timer {timer.key} fired {due - at} ms before its time"
        in_time = any(timer.commit.over < one.begun and one.over < tick.begun for one in cancels)
        if in_time and is_only and not told_fired(record, timer):
            yield asked.record, f"the timer {timer.key} was cancelled, and fired"
    elif record is not None and record.head.phase == "running" and is_only:
        kept = any(waiting.event.id == timer.event for waiting in record.timers.values())
        if not kept and timer.event not in record.events and not cancels:
            yield asked.record, f"the timer {timer.key} was set, and is gone without having fired"


def told_fired(record: Record | None, timer: SetTimer) -> bool:
    """Whether the tick that is known only repeated what had fired before the cancel came."""
    kinds = [
        line.kind
        for line in (record.history if record else ())
        if dict(line.detail).get("key") == timer.key and line.kind in ("timer_fired", "timer_cancelled")
    ]
    return kinds[:1] == ["timer_fired"]


def cancelling(evidence: Evidence) -> defaultdict[tuple[str, str], list[Operation]]:
    """The commits that cancelled a timer, by its record and name."""
    found: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
    for commit in evidence.operations.of("commit", answers=("Committed",)):
        for key in commit.asked.detail.get("cancelled", ()):
            found[commit.asked.record, key].append(commit)
    return found


def fired_late(evidence: Evidence, record: Record) -> Iterator[Finding]:
    """Without faults a timer is late by what a tick takes. With some it waits for whoever was away."""
    if any(entry.op in ("nemesis", "crash") for entry in evidence.history):
        return
    due: dict[str, int] = {}
    for line in record.history:
        detail = dict(line.detail)
        if line.kind == "timer_set":
            due[detail["key"]] = int(detail["at"])
        elif line.kind == "timer_fired" and detail["key"] in due:
            late = line.at - due.pop(detail["key"])
            if late > evidence.plan.late:
                yield record.head.key, f"the timer {detail['key']} fired {late} ms late"


def deadlines_passed(evidence: Evidence) -> Iterator[Finding]:
    for key, record in evidence.records.items():
        at = record.head.deadline_at
        if record.head.phase == "running" and at > 0 and at + evidence.plan.late < evidence.now:
            yield key, f"its deadline was {evidence.now - at} ms ago, and it is still running"


@invariant("I11")
def joins_fire_when_complete(evidence: Evidence) -> Iterator[Finding]:
    """A join fires exactly when one of each of its events is there; each counts once, and its handler runs for it."""
    for key, record in evidence.records.items():
        for worker in evidence.workers.values():
            if worker.joins:
                join = record.joins.get(worker.name)
                for what in judge_join(evidence, record, worker.name, worker.events, join):
                    yield key, what


def judge_join(
    evidence: Evidence, record: Record, worker: str, names: tuple[str, ...], join: Join | None
) -> Iterator[str]:
    arrived = dict(join.arrived) if join else {}
    complete = set(names) <= arrived.keys()
    if join is not None and len(arrived) < len(join.arrived):
        yield f"{worker} counted an event twice: {', '.join(name for name, _ in join.arrived)}"
    for name, event in arrived.items():
        if event not in record.events or record.events[event].name != name:
            yield f"{worker} counted {event} as {name}, which it is not"
    if join is not None and join.fired != complete:
        yield f"{worker} has {', '.join(arrived) or 'nothing'}, and has {'' if join.fired else 'not '}fired"
    for grant in granted_to(evidence, record.head.key, worker):
        if join is None or not join.fired or grant.asked.event != join.event:
            yield f"{worker} began with {grant.asked.event} before all of its events were there"
    there = given_away(record)
    if set(names) <= there.keys() and record.head.phase == "completed" and not (join and join.fired):
        letters = [letter for letter in record.letters.values() if letter.worker == worker]
        if not letters:
            yield f"{worker} never fired, although one of each of its events was there"
    elif set(names) <= there.keys() and record.head.phase == "running" and not (join and join.fired):
        waits = record.head.paused_at or any(letter.worker == worker for letter in record.letters.values())
        if not waits:
            yield f"{worker} does not fire, although one of each of its events is there"


def granted_to(evidence: Evidence, key: str, worker: str) -> Iterator[Operation]:
    for grant in evidence.operations.of("begin", answers=("Granted",)):
        if (grant.asked.record, grant.asked.worker, grant.asked.kind) == (key, worker, "step"):
            yield grant


def given_away(record: Record) -> dict[str, list[str]]:
    """The events of a run that went out to their subscribers, by name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    told = [
        record.head.start_event,
        *(event for row in record.steps.values() if not row.late for event in row.emitted),
    ]
    for event in told:
        if event in record.events:
            found[record.events[event].name].append(event)
    return found
