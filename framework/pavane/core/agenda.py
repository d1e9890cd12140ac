"""What a record waits for: when something is due in it, what a tick does then, and how it shows itself.

Every record has at most one entry in its shard's due set, at the earliest of its times. A tick reviews the
records whose time has come; it is the safety net behind the calls, not the path.
"""

from __future__ import annotations

from pavane.core.answers import Reviewed
from pavane.core.compensation import fail_run, start_chain_when_clear
from pavane.core.ending import stall
from pavane.core.joining import is_waited_for
from pavane.core.leasing import counts_for_undo, lose_lease
from pavane.core.letters import end_by_event
from pavane.core.outbox import publications, put_event, put_off
from pavane.core.pausing import release_held
from pavane.core.record import Record

LOOSE_RETENTION = 7 * 86_400_000
"""Milliseconds that an event outside workflows is remembered after its last change."""


def due_at(record: Record) -> int:
    """The next time that something is due in this record; 0: nothing is."""
    head = record.head
    times = [row.next_try for row in record.outbox.values()]
    times += [timer.at for timer in record.timers.values()]
    times += [head.deadline_at, head.void_at, head.release_at, expires_at(record)]
    times.append(head.idle_at if not head.terminal else 0)
    return min((time for time in times if time > 0), default=0)


def expires_at(record: Record) -> int:
    """When the record may be forgotten; 0: not yet foreseeable. It lives at least as long as its letters."""
    head = record.head
    owed = head.letters > 0 or record.outbox or record.timers or record.held
    if owed or (head.is_run and not head.terminal):
        return 0
    last = max(head.updated_at, head.ended_at, head.lease_max, head.retry_max)
    return last + (head.contract.retention if head.contract else LOOSE_RETENTION)


def status_of(record: Record) -> str:
    """The status shown: the phase if terminal, else paused, else stalled, else waiting, else the phase."""
    head = record.head
    if head.terminal:
        return head.phase
    if head.paused_at:
        return "paused"
    if head.stalled:
        return "stalled"
    leased = head.leases + head.other_leases > 0
    at_work = leased or head.retrying > 0 or bool(record.outbox) or bool(record.held)
    waits = bool(record.timers) or is_waited_for(record)
    return "waiting" if waits and not at_work else head.phase


def review(record: Record, now: int, subscribed: tuple[str, ...]) -> tuple[Record | None, Reviewed]:
    """Do what is due: publish, release held jobs, fire timers, pass the deadline, void leases, mark idleness, forget.

    `None` for the record means that its retention is over and it is gone.
    """
    expires = expires_at(record)
    if 0 < expires <= now:
        return None, Reviewed(deleted=True)
    draft = record.fork()
    due = sorted(row.id for row in draft.outbox.values() if row.next_try <= now)
    for row_id in due:
        put_off(draft, draft.outbox[row_id], now)
    release_held(draft, now)
    fire_timers(draft, now, subscribed)
    pass_deadline(draft, now, subscribed)
    void_leases(draft, now, subscribed)
    mark_idle(draft, now, subscribed)
    return draft, Reviewed(rows=publications(draft, [*due, *draft.fresh]))


def fire_timers(record: Record, now: int, subscribed: tuple[str, ...]) -> None:
    """Turn each due timer into an outbox row, earliest first. The event's id was fixed when it was set.

    The step that set it has emitted it now; an ending event ends the run, as if that step had committed it.
    """
    due = sorted((timer.at, timer.key) for timer in record.timers.values() if timer.at <= now)
    for _, key in due:
        timer = record.timers.pop(key, None)
        if timer is None:  # the timer before it ended the run
            break
        put_event(record, timer.event, now, by=timer.set_by)
        setter = record.edit(timer.set_by)
        if setter is not None:
            setter.emitted.append(timer.event.id)
        record.remember("timer_fired", now, event=timer.event.name, cause=timer.event.causation, key=key)
        record.head.updated_at = now
        end_by_event(record, timer.event.id, now, subscribed, row=None)


def pass_deadline(record: Record, now: int, subscribed: tuple[str, ...]) -> None:
    if 0 < record.head.deadline_at <= now and record.head.phase == "running":
        record.remember("deadline_passed", now)
        fail_run(record, "deadline", now, subscribed)
        record.head.updated_at = now


def void_leases(record: Record, now: int, subscribed: tuple[str, ...]) -> None:
    """In a failing run, take the leases that ran out: their holders are fenced, the outcome is unknown."""
    head = record.head
    if head.chain != "waiting" or not 0 < head.void_at <= now:
        return
    latest = 0
    for step in sorted(record.steps):
        row = record.steps[step]
        if not row.work.token or not counts_for_undo(row, "step"):
            continue
        if row.work.lease_until > now:
            latest = max(latest, row.work.lease_until)
            continue
        row = record.edit(step) or row
        lose_lease(record, row, row.work, "step", now)
        if row.state == "running":
            row.state = "refused"
    head.void_at = latest
    head.updated_at = now
    start_chain_when_clear(record, now, subscribed)


def mark_idle(record: Record, now: int, subscribed: tuple[str, ...]) -> None:
    """Mark a run that nothing moves any more; the next begin takes the mark off.

    A job still in a queue is not seen from here, so a long backlog may be marked too. A run that waits for a join is
    listed as waiting, unless a lease or a retry says that it is at work: then nothing but this mark would tell.
    """
    head = record.head
    if head.contract is None or head.terminal or not 0 < head.idle_at <= now:
        return
    if head.updated_at + head.contract.idle_after > now:
        head.idle_at = head.updated_at + head.contract.idle_after
        return
    leases = head.leases + head.other_leases
    leased = leases > 0 and head.lease_max > now
    joins = is_waited_for(record) and not leases and not head.retrying
    waits = head.paused_at > 0 or bool(record.held or record.timers) or joins
    if leased or waits or record.outbox or head.retry_max > now:
        head.idle_at = now + head.contract.idle_after
        return
    head.idle_at = 0
    stall(record, "idle", now, subscribed)
