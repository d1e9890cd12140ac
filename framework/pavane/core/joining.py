"""Joins: a worker with `on_all` runs once in a run, when one of each of its events is there.

Arrivals only record. The call that brings the last one writes the join's job to the outbox, with an event whose
id follows from run and worker; from there on it is a job like any other.
"""

from __future__ import annotations

from dataclasses import replace

from pavane.core.answers import Publication
from pavane.core.calls import Begin, JoinSpec
from pavane.core.identity import step_id
from pavane.core.kept import Join
from pavane.core.outbox import publications, put_job
from pavane.core.record import EventRow, Record, StepRow


def is_arrival(call: Begin) -> bool:
    """Whether a delivery brings one of the events to join, and not the join's own."""
    return (
        call.kind == "step"
        and call.join is not None
        and (call.event is None or call.event.id != call.join.event.id)
    )


def why_not_joined(record: Record, call: Begin) -> str:
    """Why a run takes neither an arrival nor the join's job (a code), or an empty string.

    A failing run never fires a join, not even for closing steps.
    """
    head = record.head
    if not head.is_run:
        return "not_in_run"
    if head.phase not in ("running", "completed"):
        return f"run_{head.phase}"
    join = record.joins.get(call.worker)
    fired = join is not None and join.fired
    return "" if fired or is_arrival(call) else "join_open"


def arrive(record: Record, row: StepRow | None, call: Begin, spec: JoinSpec, now: int) -> bool:
    """Record an arrival, and fire the join if it is the last. Says whether anything has changed."""
    event = call.event
    if event is None:
        return False
    if row is not None:
        settle_arrival(record, row, now)
    before = record.joins.get(call.worker)
    if before is not None and before.fired:
        return row is not None
    join = before or Join(worker=call.worker, event=spec.event.id, names=spec.names, since=now)
    arrived = dict(join.arrived)
    if event.name in spec.names and event.name not in arrived:
        arrived[event.name] = event.id
        record.events.setdefault(event.id, event)
    join = replace(join, names=spec.names, arrived=tuple(arrived.items()))
    if join == before:
        return row is not None
    record.joins[call.worker] = join
    record.head.updated_at = now
    if all(name in arrived for name in join.names):
        fire(record, join, event, spec, now)
    return True


def settle_arrival(record: Record, row: StepRow, now: int) -> None:
    """An arrival has a row only if its message was dead or given up before. It has arrived now."""
    if row.state == "retrying":
        record.head.retrying -= 1
    record.head.commits += 1
    row.order = record.head.commits
    row.state = "committed"
    row.ended_at = now
    row.error = row.error_type = ""
    row.work.unpublished = ""
    row.work.done = True
    record.remember("step_committed", now, row=row, cause=row.event)
    record.head.updated_at = now


def fire(record: Record, join: Join, event: EventRow, spec: JoinSpec, now: int) -> None:
    """Write the join's one job. It has a row already if somebody delivered its event too early, and that died."""
    record.joins[join.worker] = replace(join, fired=True)
    record.events[join.event] = spec.event
    step = step_id(join.worker, join.event)
    row = record.steps.get(step)
    put_job(record, join.worker, step, join.event, now, generation=row.work.generation if row else 0)
    record.remember(
        "gathered",
        now,
        row=StepRow(step=step, worker=join.worker, event=join.event),
        event=event.name,
        cause=event.id,
    )


def pending_of_join(record: Record, worker: str) -> tuple[Publication, ...]:
    """The join's job, if an arrival has written it and nobody has marked it."""
    join = record.joins.get(worker)
    if join is None:
        return ()
    return publications(record, [f"job/{step_id(worker, join.event)}"])


def joined_events(record: Record, row: StepRow) -> tuple[EventRow, ...]:
    """The events that a join's job was written for, in the order of its handler's arguments; of other jobs none."""
    join = record.joins.get(row.worker)
    if join is None or not join.fired or join.event != row.event:
        return ()
    arrived = dict(join.arrived)
    return tuple(record.events[arrived[name]] for name in join.names)


def drop_open(record: Record) -> None:
    """A failing run fires no join any more."""
    record.joins = {worker: join for worker, join in record.joins.items() if join.fired}


def is_waited_for(record: Record) -> bool:
    """Whether a running run has a join that something has arrived for and something has not."""
    return record.head.phase == "running" and any(not join.fired for join in record.joins.values())
