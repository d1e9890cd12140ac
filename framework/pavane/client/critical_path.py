"""The critical path of a run: the chain of steps, each begun with what the one before emitted, that took until its end.

Every time on it is the store's, so the parts add up: a step waited from the end of its cause to its begin (in a queue,
for a timer, held by a pause), and then took until its own end, retries included.
"""

from __future__ import annotations

from datetime import datetime

from pavane.client.views import exactly, moment
from pavane.core.branches import begun_with
from pavane.core.identity import step_id
from pavane.core.record import Record, StepRow
from pavane.model.views import View


class PathStep(View):
    """A step on the path.

    Attributes:
        event: that it was begun with; of a join the one that came last.
        duration_s: `None` while it has not ended.
    """

    step_id: str
    worker: str
    status: str
    event: str
    started_at: datetime
    ended_at: datetime | None
    waited_s: float
    duration_s: float | None


class CriticalPath(View):
    """The path of a run, from its start. `total_s` is from there to the end of the path's last step."""

    run: str
    total_s: float | None
    path: list[PathStep]


def critical_path(record: Record) -> CriticalPath:
    """Back from the step that ended the run, or from the one that ended last or has not ended, to the start."""
    rows = list(reversed(_walk(record)))
    path: list[PathStep] = []
    cause, before = None, record.head.started_at
    for row in rows:
        path.append(_on_path(record, row, cause, before))
        cause, before = row, row.ended_at or row.started_at
    ended = bool(rows) and rows[-1].ended_at > 0
    total = (rows[-1].ended_at - record.head.started_at) / 1000 if ended else None
    return CriticalPath(run=record.head.key, total_s=total, path=path)


def _walk(record: Record) -> list[StepRow]:
    """From the last step back to the first."""
    emitter = {event: row for row in record.steps.values() for event in row.emitted}
    row = emitter.get(record.head.end_event) or _latest(record)
    walked: list[StepRow] = []
    # A record written by hand may hold a circle.
    while row is not None and row not in walked:
        walked.append(row)
        causes = [_cause(record, emitter, event) for event in begun_with(record, row)]
        row = max((one for one in causes if one is not None), key=lambda one: one.ended_at, default=None)
    return walked


def _latest(record: Record) -> StepRow | None:
    """What the run waits for, or what ended last; a closing step comes after the end."""
    rows = [row for row in record.steps.values() if not row.closing]
    return max(rows, key=lambda row: (not row.ended_at, row.ended_at or row.started_at), default=None)


def _cause(record: Record, emitter: dict[str, StepRow], event_id: str) -> StepRow | None:
    """The step that sent the event, or set the timer that did."""
    event = record.events.get(event_id)
    if event_id in emitter or event is None:
        return emitter.get(event_id)
    return record.steps.get(step_id(event.producer, event.causation))


def _on_path(record: Record, row: StepRow, cause: StepRow | None, before: int) -> PathStep:
    sent = [one for one in begun_with(record, row) if cause is not None and one in cause.emitted]
    event = record.events.get(sent[0] if sent else row.event)
    return PathStep(
        step_id=row.step,
        worker=row.worker,
        status=row.state,
        event=event.name if event else "",
        started_at=exactly(row.started_at),
        ended_at=moment(row.ended_at),
        waited_s=max(row.started_at - before, 0) / 1000,
        duration_s=(row.ended_at - row.started_at) / 1000 if row.ended_at else None,
    )
