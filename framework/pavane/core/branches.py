"""Branches: which undos of a parallel chain must wait for which.

A step caused another if the other was begun with an event that it emitted, directly or through steps without
undo. Every undo waits for those of the steps that its own step caused.
"""

from __future__ import annotations

from collections.abc import Mapping

from pavane.core.record import Record, StepRow


def tie(record: Record) -> None:
    """Write into the rows of the chain whom each holds up, and how many each waits for. In the chain's order."""
    emitter = emitters(record)
    chain = {step: place for place, step in enumerate(record.undo)}
    for step in record.undo:
        row = record.edit(step)
        if row is not None:
            nearest = causes_in_chain(record, row, emitter, chain)
            row.holds_up = sorted(nearest, key=chain.__getitem__)
    for step in record.undo:
        for cause in record.steps[step].holds_up:
            record.steps[cause].awaits += 1


def emitters(record: Record) -> dict[str, str]:
    """The step that emitted each event; an edited one is its original's."""
    emitter = {event: row.step for row in record.steps.values() for event in row.emitted}
    for row in record.steps.values():
        first = row
        while first.replaces:
            first = record.steps[first.replaces]
        if first is not row and first.event in emitter:
            emitter[row.event] = emitter[first.event]
    return emitter


def causes_in_chain(
    record: Record, row: StepRow, emitter: dict[str, str], chain: Mapping[str, int]
) -> set[str]:
    """The nearest steps of the chain that a step was caused by: behind each of them its own causes hold on."""
    found: set[str] = set()
    seen = {row.step}
    unseen = [row]
    while unseen:
        caused = unseen.pop()
        for event in begun_with(record, caused):
            cause = emitter.get(event, "")
            if not cause or cause in seen:
                continue
            if 0 < caused.first_token < record.steps[cause].first_token:
                continue  # a stranger sent the event before it was emitted: as a cause it would close a circle
            seen.add(cause)
            if cause in chain:
                found.add(cause)
            else:
                unseen.append(record.steps[cause])
    return found


def begun_with(record: Record, row: StepRow) -> tuple[str, ...]:
    """The ids of the events that a step was begun with: more than one for a join's."""
    join = record.joins.get(row.worker)
    if join is not None and join.fired and join.event == row.event:
        return tuple(event for _, event in join.arrived)
    return (row.event,)
