"""What the model tells apart: records that differ in something that a decision looks at, and nothing else.

Time has three values: never, over, and ahead. What makes a time pass is a move of the model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pavane.core import answers as a
from pavane.core.record import Record, Work

NOW = 1_000_000
AHEAD = NOW + 1_000


def same(first: Any, second: Any) -> bool:
    """Whether two answers settle a delivery in the same way.

    `again` repeats a redrive that wants its copy. The second answer may name more rows, of earlier calls that
    nobody has marked, never fewer; a dead job's rows are left to the relay.
    """
    if isinstance(first, a.Redriven):
        return first == second or (first.outcome, second.outcome) == ("publish", "again")
    if type(first) is not type(second):
        return False
    if isinstance(first, a.Dead):
        return (first.letter, first.publish) == (second.letter, second.publish)
    missing = {row.row for row in getattr(first, "rows", ())} - {
        row.row for row in getattr(second, "rows", ())
    }
    kept = ("token", "generation", "delay", "remaining", "reason", "publish")
    return not missing and all(getattr(first, name, 0) == getattr(second, name, 0) for name in kept)


def simplify(record: Record) -> None:
    """Forget, in place, what no decision of this model looks at. What is shared with a kept record stays as it is."""
    head = record.head
    head.seq = head.updated_at = head.ended_at = head.started_at = head.idle_at = head.retry_max = 0
    head.lease_max = AHEAD
    head.void_at = AHEAD if head.void_at else 0
    head.paused_at = NOW if head.paused_at else 0
    head.release_at = AHEAD if head.release_at else 0
    record.held = {id_: replace(job, since=0) for id_, job in record.held.items()}
    record.history = []
    record.fresh = []
    for pending in record.outbox.values():
        pending.tries, pending.next_try = 0, AHEAD
    for row in record.steps.values():
        row.started_at = row.ended_at = 0
        for work in (row.work, row.undo):
            if work is not None:
                simplify_work(work)


def simplify_work(work: Work) -> None:
    work.attempts = []
    work.begin_id = ""
    work.grants = min(work.grants, 1)
    work.delay = 0
    work.next_at = AHEAD if work.next_at > NOW else 0
    ends = AHEAD if work.lease_until > NOW else NOW
    work.lease_until = ends if work.token else 0


def fingerprint(record: Record) -> Any:
    head = record.head
    return (
        (
            head.phase,
            head.end_event,
            head.tokens,
            head.commits,
            head.leases,
            head.other_leases,
            head.retrying,
        ),
        (head.letters, tuple(head.stalled), head.chain, head.void_at, tuple(record.undo)),
        (
            head.paused_at,
            head.release_at,
            tuple(record.held),
            head.holds,
            head.cancelling,
            head.leave,
            head.asked,
        ),
        tuple(
            (
                (row.step, row.state, row.closing, row.late, row.failed_run, row.first_token, row.order),
                row.skipped,
                (row.result, tuple(row.emitted), fingerprint_work(row.work)),
                fingerprint_work(row.undo) if row.undo else None,
            )
            for row in sorted(record.steps.values(), key=lambda row: row.step)
        ),
        tuple(sorted((row.id, row.kind, row.by, row.step, row.generation) for row in record.outbox.values())),
        tuple(sorted((letter.id, letter.generation) for letter in record.letters.values())),
    )


def fingerprint_work(work: Work) -> Any:
    return (
        work.generation,
        work.unpublished,
        work.token,
        work.ended_token,
        work.lease_until,
        tuple(work.granted),
        work.failures,
        work.next_at,
        work.done,
    )
