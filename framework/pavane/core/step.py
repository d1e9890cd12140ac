"""The step protocol after `begin`: commit, fail, release, renew.

Each transition is one function from a record, a call and the time to a new record and an answer, without
I/O, clock or randomness. The memory store runs these functions; each Redis script follows its function line
by line, and a differential test compares the two. A transition that writes nothing returns the record it got.
"""

from __future__ import annotations

from typing import Literal

from pavane.core.answers import (
    CommitAnswer,
    Committed,
    Dead,
    Exhausted,
    FailAnswer,
    Fenced,
    Late,
    Recorded,
    ReleaseAnswer,
    Released,
    RenewAnswer,
    Renewed,
    Retrying,
)
from pavane.core.calls import Commit, Fail, Release, Renew
from pavane.core.compensation import start_chain_when_clear
from pavane.core.leasing import end_lease, report_ended
from pavane.core.letters import die, end_by_event, letter_of
from pavane.core.outbox import pending_of, publications, put_event
from pavane.core.record import JobKind, Record, StepRow, Timer, Work


def commit(record: Record | None, call: Commit, now: int) -> tuple[Record | None, CommitAnswer]:
    """Write a step's result, data, events, timers and end of lease together, or nothing at all."""
    row = record.steps.get(call.step) if record else None
    if record is None or row is None:
        return record, Fenced()
    if row.committed and row.work.ended_token == call.token:
        rows = pending_of(record, row.step)
        return record, Late(rows=rows) if row.late else Committed(rows=rows)
    if row.work.token != call.token:
        return record, Fenced()
    draft = record.fork()
    head = draft.head
    row = draft.edit(call.step) or row
    late = head.phase == "compensating" and not row.closing
    end_lease(draft, row, row.work, "step", now, outcome="late" if late else "committed")
    write_result(draft, row, call, now, late=late)
    if late:
        draft.remember("step_late", now, row=row, attempt=row.work.grants, reason=head.reason)
        start_chain_when_clear(draft, now, call.subscribed, by=row.step)
        head.updated_at = now
        return draft, Late(rows=publications(draft, draft.fresh))
    draft.remember("step_committed", now, row=row, attempt=row.work.grants, cause=row.event)
    write_events(draft, row, call, now)
    write_timers(draft, row, call, now)
    was_running = head.phase == "running"
    for event in call.events:
        if end_by_event(draft, event.id, now, call.subscribed, row=row):
            break
    head.updated_at = now
    ended = head.phase if was_running and head.phase != "running" else ""
    return draft, Committed(rows=publications(draft, draft.fresh), run_ended=ended)


def write_result(record: Record, row: StepRow, call: Commit, now: int, *, late: bool) -> None:
    """The step's own row and the run's data. A step that emits a failing event is never undone, late or not."""
    head = record.head
    head.commits += 1
    row.order = head.commits
    row.state = "committed"
    row.late = late
    row.ended_at = now
    row.result = call.result
    row.error = row.error_type = ""
    row.work.done = True
    record.data.update(call.data)
    for event in call.events:
        record.events[event.id] = event
    if head.contract is not None:
        row.failed_run = any(event.name in head.contract.fails for event in call.events)


def write_events(record: Record, row: StepRow, call: Commit, now: int) -> None:
    for event in call.events:
        row.emitted.append(event.id)
        put_event(record, event, now, by=row.step)
        record.remember("event_emitted", now, row=row, event=event.name, cause=row.event, id=event.id)


def write_timers(record: Record, row: StepRow, call: Commit, now: int) -> None:
    """Set and cancel timers; none is set once the run has left `running`."""
    head = record.head
    for key in call.cancelled_timers:
        if record.timers.pop(key, None) is not None:
            record.remember("timer_cancelled", now, row=row, key=key)
    for timer in call.timers:
        if head.phase != "running":
            record.remember(
                "timer_cancelled", now, row=row, event=timer.event.name, reason=head.phase, key=timer.key
            )
            continue
        at = now + timer.at if timer.key in call.relative else timer.at
        record.timers[timer.key] = Timer(key=timer.key, at=at, event=timer.event, set_by=row.step)
        record.remember("timer_set", now, row=row, event=timer.event.name, key=timer.key, at=str(at))


def held(record: Record | None, step: str, kind: JobKind, token: int) -> tuple[StepRow, Work] | None:
    """The row and its work, if `token` is the present holder's."""
    row = record.steps.get(step) if record else None
    work = row.of(kind) if row else None
    return (row, work) if row is not None and work is not None and work.token == token else None


def fail(record: Record | None, call: Fail, now: int) -> tuple[Record | None, FailAnswer]:
    """Record a failed attempt: one generation more, and either a next time or the dead letter."""
    found = held(record, call.step, call.kind, call.token)
    if record is None or found is None:
        return record, failed_before(record, call, now)
    row, work = found
    failing = record.head.phase == "compensating" and call.kind == "step" and not row.closing
    draft = record.fork()
    row = draft.edit(call.step) or row
    work = row.of(call.kind) or work
    exhausted = None if failing else spent(row, work, call, now)
    if exhausted is not None and call.verdict is None:
        return record, exhausted
    retries = exhausted is None and not failing
    end_lease(
        draft,
        row,
        work,
        call.kind,
        now,
        outcome=call.outcome,
        error=call.error,
        error_type=call.error_type,
        delay=call.delay if retries else 0,
    )
    row.error, row.error_type = call.error, call.error_type
    draft.head.updated_at = now
    if failing:
        row.state = "refused"
        draft.remember("step_late", now, row=row, attempt=work.grants, reason=call.outcome, error=call.error)
        start_chain_when_clear(draft, now, call.subscribed, by=row.step)
        return draft, Recorded(rows=publications(draft, draft.fresh))
    work.failures += 1
    if not retries and call.verdict is not None:
        letter = die(draft, row, work, call.kind, call.verdict, now, call.subscribed)
        rows = publications(draft, draft.fresh)
        return draft, Dead(letter=letter, generation=work.generation, publish=True, rows=rows)
    await_retry(draft, row, work, call, now)
    return draft, Retrying(generation=work.generation, delay=call.delay)


def failed_before(record: Record | None, call: Fail, now: int) -> FailAnswer:
    """The answer to a resent call, or *fenced*."""
    row = record.steps.get(call.step) if record else None
    work = row.of(call.kind) if row else None
    if record is None or row is None or work is None or work.ended_token != call.token or work.done:
        return Fenced()
    rows = pending_of(record, row.step)
    letter = letter_of(record, row, call.kind)
    if letter is not None:
        return Dead(letter=letter, generation=work.generation, publish=True, rows=rows)
    if call.kind == "step" and row.state in ("refused", "undoing", "undone", "undo_stuck"):
        return Recorded(rows=rows)
    if work.unpublished == "retry":
        return Retrying(generation=work.generation, delay=max(0, work.next_at - now))
    return Fenced()


def spent(row: StepRow, work: Work, call: Fail, now: int) -> Exhausted | None:
    """Whether this failure is the last: rejected, out of attempts, or the next one would be past the deadline."""
    past = call.step_timeout > 0 and now + call.delay >= row.started_at + call.step_timeout
    reason: Literal["rejected", "attempts", "deadline"]
    if call.outcome == "rejected":
        reason = "rejected"
    elif work.failures + 1 >= call.max_attempts:
        reason = "attempts"
    elif past and call.kind == "step":
        reason = "deadline"
    else:
        return None
    return Exhausted(reason=reason, attempts=work.failures + 1, error=call.error, error_type=call.error_type)


def await_retry(record: Record, row: StepRow, work: Work, call: Fail, now: int) -> None:
    work.generation += 1
    work.unpublished = "retry"
    work.delay = call.delay
    work.next_at = now + call.delay
    record.head.retry_max = max(record.head.retry_max, work.next_at)
    if call.kind == "step":
        row.state = "retrying"
        record.head.retrying += 1
    record.remember(
        "step_retrying" if call.kind == "step" else "undo_failed",
        now,
        row=row,
        attempt=work.grants,
        reason=call.outcome,
        error=call.error,
        delay=str(call.delay),
    )


def release(record: Record | None, call: Release, now: int) -> tuple[Record | None, ReleaseAnswer]:
    """Give a lease back, without a recorded failure; the attempt's number is given back too.

    A holder that was fenced reports its token this way, so that it is not taken for a crash.
    """
    row = record.steps.get(call.step) if record else None
    work = row.of(call.kind) if row else None
    if record is None or row is None or work is None:
        return record, Fenced()
    draft = record.fork()
    row = draft.edit(call.step) or row
    work = row.of(call.kind) or work
    if work.token != call.token:
        if work.ended_token == call.token:
            return record, released_before(record, row, call)
        return (draft if report_ended(work, (call.token,)) else record), Fenced()
    failing = draft.head.phase == "compensating" and call.kind == "step" and not row.closing
    end_lease(draft, row, work, call.kind, now, outcome="released", error=call.reason)
    draft.head.updated_at = now
    if failing:
        row.state = "refused"
        draft.remember("step_late", now, row=row, attempt=work.grants, reason="released")
        start_chain_when_clear(draft, now, call.subscribed, by=row.step)
        return draft, Recorded(rows=publications(draft, draft.fresh))
    work.grants -= 1
    work.next_at = now + call.after if call.after else 0
    draft.head.retry_max = max(draft.head.retry_max, work.next_at)
    if call.kind == "step":
        row.state = "retrying"
        draft.head.retrying += 1
    return draft, Released()


def released_before(record: Record, row: StepRow, call: Release) -> ReleaseAnswer:
    """The answer to a resent call: a step that its failing run refuses was only recorded."""
    if call.kind == "step" and row.state in ("refused", "undoing", "undone", "undo_stuck"):
        return Recorded(rows=pending_of(record, row.step))
    return Released()


def renew(record: Record | None, call: Renew, now: int) -> tuple[Record | None, RenewAnswer]:
    """Keep the lease. A lease that ran out but was neither taken nor voided is kept as well."""
    found = held(record, call.step, call.kind, call.token)
    if record is None or found is None:
        return record, Fenced()
    draft = record.fork()
    row = draft.edit(call.step) or found[0]
    work = row.of(call.kind) or found[1]
    work.lease_until = now + call.lease
    draft.head.lease_max = max(draft.head.lease_max, work.lease_until)
    if call.progress >= 0:
        row.progress = call.progress
    if call.note:
        row.note = call.note
    stopping = draft.head.phase == "compensating" and call.kind == "step" and not row.closing
    return draft, Renewed(lease_until=work.lease_until, stopping=stopping)
