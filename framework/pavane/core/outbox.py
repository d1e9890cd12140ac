"""What a transition hands to the relay: events and wake-ups, written in the call that causes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from pavane.core.answers import Publication
from pavane.core.record import EventRow, OutboxRow, Record

FIRST_TRY = 3_000
"""Milliseconds after which the relay publishes a row that its writer has not marked."""

LONGEST_TRY = 60_000
"""Longest pause between two tries of the relay: a blocked broker must not multiply messages."""

LONGEST_RETURN = 3_600_000
"""The same for an event that was returned although somebody subscribes to it: an operator must mend a binding."""


def put_event(record: Record, event: EventRow, now: int, *, by: str = "") -> None:
    """Keep an event and have it published."""
    record.events[event.id] = event
    record.outbox[event.id] = OutboxRow(id=event.id, kind="event", by=by, next_try=now + FIRST_TRY)
    record.fresh.append(event.id)


def put_job(
    record: Record, worker: str, step: str, event: str, now: int, *, generation: int = 0, id_: str = ""
) -> None:
    """Have one job delivered to its worker alone: a held one, or a join's. Its event is known to the record."""
    row = OutboxRow(
        id=id_ or f"job/{step}",
        kind="job",
        worker=worker,
        step=step,
        event=event,
        generation=generation,
        next_try=now + FIRST_TRY,
    )
    record.outbox[row.id] = row
    record.fresh.append(row.id)


def put_undo(record: Record, step: str, generation: int, now: int, *, by: str = "", id_: str = "") -> None:
    """Have the undo of a step woken up."""
    row = OutboxRow(
        id=id_ or f"undo/{step}",
        kind="undo",
        by=by,
        step=step,
        generation=generation,
        next_try=now + FIRST_TRY,
    )
    record.outbox[row.id] = row
    record.fresh.append(row.id)


def put_off(record: Record, row: OutboxRow, now: int, *, longest: int = LONGEST_TRY) -> None:
    """Count one more try and wait twice as long for the next."""
    pause = min(longest, FIRST_TRY * 2 ** min(row.tries, 20))
    record.outbox[row.id] = replace(row, tries=row.tries + 1, next_try=now + pause)


def publications(record: Record, rows: Iterable[str]) -> tuple[Publication, ...]:
    """What to publish for these rows of the outbox; rows that are gone are passed over."""
    return tuple(publication(record, record.outbox[row]) for row in rows if row in record.outbox)


def publication(record: Record, row: OutboxRow) -> Publication:
    if row.kind == "event":
        return Publication(row=row.id, kind="event", record=record.head.key, event=record.events[row.id])
    step = record.steps.get(row.step)
    if row.kind == "job":
        return Publication(
            row=row.id,
            kind="job",
            record=record.head.key,
            event=record.events[row.event],
            worker=row.worker,
            step=row.step,
            generation=row.generation,
            edited=step is not None and step.replaces != "",
        )
    step = record.steps[row.step]
    return Publication(
        row=row.id,
        kind="undo",
        record=record.head.key,
        event=record.events[step.event],
        worker=step.worker,
        step=step.step,
        generation=row.generation,
    )


def pending_of(record: Record, step: str) -> tuple[Publication, ...]:
    """The rows that a step's calls have written and nobody has marked, in order of their ids."""
    return publications(record, sorted(row.id for row in record.outbox.values() if row.by == step))


def report(
    record: Record, name: str, now: int, subscribed: tuple[str, ...], *, by: str = "", **fields: str | int
) -> None:
    """Write one of pavane's own events about the run, if anybody subscribes to it.

    Its id follows from the record and the history's length, so it never varies. `at` is milliseconds,
    which the event classes read as a time.
    """
    if name not in subscribed:
        return
    record.head.seq += 1
    seed = f"{record.head.key}/{name}/{record.head.seq}"
    about: dict[str, str | int | None] = {
        "run": record.head.key if record.head.is_run else None,
        "workflow": record.head.workflow or None,
        "at": now,
        **fields,
    }
    put_event(
        record,
        EventRow(
            id=hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest(),
            name=name,
            version=1,
            time=now,
            payload=json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode(),
            producer="pavane",
        ),
        now,
        by=by,
    )
