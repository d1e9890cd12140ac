"""Many dead letters at once, made by the store and the broker alone: no handler has to fail ten thousand times.

What is there afterwards is what a worker would have left: the job's row is dead, its letter is in the index, its
message lies in the dead-letter queue and is marked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pavane.core.calls import CopyMark, Mark, Reject, Verdict
from pavane.core.envelope import event_headers, letter_headers
from pavane.core.identity import letter_id, loose_key, step_id
from pavane.core.record import EventRow, Letter
from pavane.core.topology import Names
from pavane.ports.broker import Broker, Message, ToDeadLetters
from pavane.ports.store import Store

AT_ONCE = 500


async def fill(
    store: Store,
    broker: Broker,
    names: Names,
    worker: str,
    event: str,
    payloads: Sequence[bytes],
    *,
    prefix: str = "",
) -> list[str]:
    """Dead-letter a job of `worker` for each payload, in this order; the letters' ids.

    Args:
        worker: `service.worker`, whose dead-letter queue exists.
        event: the name of the event that it takes.
        prefix: of the events' ids, which are numbered.
    """
    letters: list[str] = []
    for first in range(0, len(payloads), AT_ONCE):
        rows = [
            EventRow(
                id=f"{prefix}{first + number}",
                name=event,
                version=1,
                time=0,
                payload=payload,
                producer="bulk",
            )
            for number, payload in enumerate(payloads[first : first + AT_ONCE])
        ]
        letters += await _dead(store, broker, names, worker, rows)
    return letters


async def _dead(
    store: Store, broker: Broker, names: Names, worker: str, rows: Sequence[EventRow]
) -> list[str]:
    calls = [_reject(worker, row) for row in rows]
    await asyncio.gather(*(store.reject(call) for call in calls))
    queue = ToDeadLetters(names.dead_letter_queue(*worker.split(".", 1)))
    await asyncio.gather(
        *(broker.publish(_message(call, row), queue) for call, row in zip(calls, rows, strict=True))
    )
    copies = [CopyMark(step=call.step, kind="step", generation=1) for call in calls]
    await store.mark_all(
        [Mark(record=call.record, copies=(copy,)) for call, copy in zip(calls, copies, strict=True)]
    )
    return [call.verdict.letter.id for call in calls]


def _reject(worker: str, row: EventRow) -> Reject:
    record, step = loose_key(row.id), step_id(worker, row.id)
    letter = Letter(
        id=letter_id(record, step, "step"),
        kind="step",
        step=step,
        worker=worker,
        event=row.id,
        reason="rejected",
        error="the bank does not know us",
        error_type="Reject",
        fingerprint="5d3c8ab90e11",
    )
    return Reject(
        record=record, step=step, worker=worker, event=row, own_record=True, verdict=Verdict(letter=letter)
    )


def _message(call: Reject, row: EventRow) -> Message:
    letter = call.verdict.letter
    headers = letter_headers(
        event_headers(row, ""),
        letter=letter.id,
        reason=letter.reason,
        worker=letter.worker,
        record=call.record,
        step=call.step,
        generation=1,
    )
    return Message(body=row.payload, headers=headers)
