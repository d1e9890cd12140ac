"""Evidence to be tampered with: one afternoon at the post, recorded, in which nothing breaks a promise.

`a` is sent, though its packing failed once; `b` is refused and taken back; `c` waits for a dead letter; `d` for its
time; `e` is paused.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from pavane.core.record import Record
from tests.checker.evidence import Evidence, Plan, Planned
from tests.checker.history import Entry
from tests.checker.ledger import MemoryLedger
from tests.checker.parcels import WRITERS, Asked, parcels, post
from tests.checker.recording_harness import recorded


async def afternoon() -> Evidence:
    """What is known when it is over."""
    ledger = MemoryLedger(lambda: 1)
    async with recorded(post(ledger), seed=7, ledger=ledger) as story:
        harness = story.harness
        await harness.start(parcels, Asked(parcel="a", torn=1))
        await harness.start(parcels, Asked(parcel="b", refused=True))
        await harness.advance(120)
        await harness.start(parcels, Asked(parcel="c", lost=True))
        await harness.advance(10)
        held = await harness.start(parcels, Asked(parcel="e"))
        await held.pause("by hand")
        await harness.advance(600)
        await harness.start(parcels, Asked(parcel="d"))
        await harness.advance(5)
        plan = Plan(
            starts=tuple(Planned(record=f"parcels:{name}", asked="ok") for name in "abcde"),
            outcomes=frozenset({"completed", "compensated", "stalled", "waiting", "paused"}),
        )
        return await story.evidence(plan, WRITERS)


# tampering: each returns new evidence


def entries(evidence: Evidence, **said: Any) -> list[Entry]:
    """The entries with these fields."""
    return [
        one for one in evidence.history if all(getattr(one, name) == value for name, value in said.items())
    ]


def without(evidence: Evidence, *gone: Entry) -> Evidence:
    return replace(evidence, history=tuple(one for one in evidence.history if one not in gone))


def changed(evidence: Evidence, entry: Entry, **said: Any) -> Evidence:
    """Another field here and there; `detail` is merged."""
    if "detail" in said:
        said["detail"] = {**entry.detail, **said["detail"]}
    new = replace(entry, **said)
    return replace(evidence, history=tuple(new if one is entry else one for one in evidence.history))


def moved(evidence: Evidence, entry: Entry, *, before: Entry) -> Evidence:
    """The entry, earlier than it was."""
    found: list[Entry] = []
    for one in evidence.history:
        if one is before:
            found.append(replace(entry, at=one.at))
        if one is not entry:
            found.append(one)
    return replace(evidence, history=tuple(found))


def added(evidence: Evidence, *more: Entry, before: Entry | None = None) -> Evidence:
    """More entries, at the end or before another one. They get new numbers, in their order."""
    place = len(evidence.history) if before is None else evidence.history.index(before)
    top = max(one.seq for one in evidence.history)
    numbers = {one.seq: top + number for number, one in enumerate(more, 1)}
    new = [replace(one, seq=numbers[one.seq], of=numbers.get(one.of, one.of)) for one in more]
    return replace(evidence, history=(*evidence.history[:place], *new, *evidence.history[place:]))


def of_record(evidence: Evidence, name: str) -> tuple[Evidence, Record]:
    """Evidence with a copy of the record of a parcel, to be written on."""
    key = f"parcels:{name}"
    record = deepcopy(evidence.records[key])
    return replace(evidence, records={**evidence.records, key: record}), record


def row_of(record: Record, worker: str) -> Any:
    """The row of a worker of the post."""
    [row] = [row for row in record.steps.values() if row.worker == f"post.{worker}"]
    return row
