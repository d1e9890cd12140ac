"""Leases: who may work on a job, until when, and what a lost one leaves behind.

Only the token fences: a lease that ran out but was neither taken nor voided may still be renewed and
committed. Tokens grow over the whole record, so an outside system can compare them.
"""

from __future__ import annotations

from pavane.core.record import ATTEMPTS_KEPT, Attempt, JobKind, Record, StepRow, Work


def counts_for_undo(row: StepRow, kind: JobKind) -> bool:
    """Whether undo must wait for this lease: closing steps and undos are not waited for."""
    return kind == "step" and not row.closing


def latest_lease(record: Record) -> int:
    """When the last of the leases ends that undo waits for; 0: there is none."""
    held = [row for row in record.steps.values() if row.work.token and counts_for_undo(row, "step")]
    return max((row.work.lease_until for row in held), default=0)


def grant(
    record: Record, row: StepRow, work: Work, kind: JobKind, now: int, *, begin_id: str, lease: int, host: str
) -> None:
    """Give the job to a new holder. One whose lease is over loses it here and is fenced from now on."""
    head = record.head
    if work.token:
        lose(record, row, work, now)
    elif counts_for_undo(row, kind):
        head.leases += 1
    else:
        head.other_leases += 1
    if row.state == "retrying":
        head.retrying -= 1
    head.tokens += 1
    work.token = head.tokens
    work.begin_id = begin_id
    work.lease_until = now + lease
    work.next_at = 0
    work.granted.append(work.token)
    work.grants += 1
    work.attempts.append(Attempt(number=work.grants, token=work.token, started_at=now, host=host))
    if len(work.attempts) > ATTEMPTS_KEPT:
        del work.attempts[0]
    head.lease_max = max(head.lease_max, work.lease_until)
    row.first_token = row.first_token or work.token


def lose(record: Record, row: StepRow, work: Work, now: int) -> None:
    """The holder is gone, or as good as gone: its attempt is shown as lost."""
    close_attempt(work, work.token, now, outcome="lost")
    record.remember("lease_lost", now, row=row, attempt=work.grants)
    work.token = 0


def lose_lease(record: Record, row: StepRow, work: Work, kind: JobKind, now: int) -> None:
    """End a lease whose holder is gone, without anybody taking it over."""
    lose(record, row, work, now)
    drop_lease(record, row, kind)


def end_lease(
    record: Record,
    row: StepRow,
    work: Work,
    kind: JobKind,
    now: int,
    *,
    outcome: str,
    error: str = "",
    error_type: str = "",
    delay: int = 0,
) -> None:
    """The present holder says how it ended; that clears the count of crashes."""
    close_attempt(work, work.token, now, outcome=outcome, error=error, error_type=error_type, delay=delay)
    work.ended_token = work.token
    work.token = 0
    work.granted = []
    drop_lease(record, row, kind)


def drop_lease(record: Record, row: StepRow, kind: JobKind) -> None:
    """Take one lease off the head's count."""
    if counts_for_undo(row, kind):
        record.head.leases -= 1
    else:
        record.head.other_leases -= 1


def close_attempt(
    work: Work, token: int, now: int, *, outcome: str, error: str = "", error_type: str = "", delay: int = 0
) -> None:
    """Write the end of the attempt that ran under `token`, if it is still remembered and open."""
    for attempt in work.attempts:
        if attempt.token == token and not attempt.outcome:
            attempt.ended_at = now
            attempt.outcome = outcome
            attempt.error = error
            attempt.error_type = error_type
            attempt.delay = delay


def report_ended(work: Work, tokens: tuple[int, ...]) -> bool:
    """Take tokens off whose holders live and have let go: they did not crash, they were fenced. Says if any was there.

    The attempt may still be listed as lost when its token is gone from the list: somebody else has ended the job.
    """
    kept = [token for token in work.granted if token not in tokens]
    lost = [attempt for attempt in work.attempts if attempt.token in tokens and attempt.outcome == "lost"]
    for attempt in lost:
        attempt.outcome = "fenced"
    changed = len(kept) < len(work.granted) or bool(lost)
    work.granted = kept
    return changed


def crashes(work: Work) -> int:
    """Holders that never said how it ended. Meaningful only while no lease is live."""
    return len(work.granted)
