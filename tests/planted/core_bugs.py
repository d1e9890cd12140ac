"""Bugs in transitions of the core, and in what the runtime computes: patched while a block runs, nowhere else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from pavane.core import begin, compensation, identity, joining, leasing, step
from pavane.core import calls as c
from pavane.core.record import Record, StepRow, Work
from pavane.runtime import handling

Planting = Callable[[], AbstractContextManager[Any]]


def no_fence() -> AbstractContextManager[Any]:
    """A commit is accepted whatever its token."""
    commit = step.commit

    def unfenced(record: Record | None, call: c.Commit, now: int) -> Any:
        row = record.steps.get(call.step) if record else None
        token = (row.work.token or row.work.ended_token) if row else 0
        return commit(record, replace(call, token=token or call.token), now)

    return patch.object(step, "commit", unfenced)


def no_dedupe() -> AbstractContextManager[Any]:
    """A committed step is granted again."""
    known = begin.answer_from_row

    def forgetful(record: Record, row: StepRow, work: Work, call: c.Begin, now: int) -> Any:
        if work.done and call.kind == "step" and not row.skipped:
            work.done = False
            row.state = "running"
        return known(record, row, work, call, now)

    return patch.object(begin, "answer_from_row", forgetful)


def token_reuse() -> AbstractContextManager[Any]:
    """Every grant of a record hands out the same token."""
    grant = leasing.grant

    def same(record: Record, *arguments: Any, **named: Any) -> None:
        record.head.tokens = 0
        grant(record, *arguments, **named)

    return patch.object(begin, "grant", same)


def undo_forward() -> AbstractContextManager[Any]:
    """What was done first is undone first."""
    order = compensation.undo_order
    return patch.object(compensation, "undo_order", lambda record: order(record)[::-1])


def copies_not_compared() -> AbstractContextManager[Any]:
    """Old retry copies are taken for new ones."""
    known = begin.answer_from_row

    def careless(record: Record, row: StepRow, work: Work, call: c.Begin, now: int) -> Any:
        return known(record, row, work, replace(call, generation=max(call.generation, work.generation)), now)

    return patch.object(begin, "answer_from_row", careless)


def join_counts_copies() -> AbstractContextManager[Any]:
    """A join counts deliveries instead of events: a duplicate completes it."""
    arrive = joining.arrive
    counted: dict[tuple[str, str], int] = {}

    def count(record: Record, row: StepRow | None, call: c.Begin, spec: c.JoinSpec, now: int) -> bool:
        changed = arrive(record, row, call, spec, now)
        key = record.head.key, call.worker
        counted[key] = counted.get(key, 0) + 1
        join = record.joins.get(call.worker)
        if join is not None and not join.fired and counted[key] >= len(spec.names) and call.event is not None:
            joining.fire(record, join, call.event, spec, now)
            return True
        return changed

    return patch.object(begin, "arrive", count)


def late_steps_stay() -> AbstractContextManager[Any]:
    """A step that commits in a failing run is not undone."""
    needs = compensation.needs_undo
    return patch.object(compensation, "needs_undo", lambda record, row: needs(record, row) and not row.late)


@contextmanager
def key_for_each_attempt() -> Generator[None]:
    """The idempotency key is another one in each attempt."""
    key = handling.idempotency_key
    with patch.object(
        handling, "idempotency_key", lambda subject, granted: f"{key(subject, granted)}/{granted.attempt}"
    ):
        yield


@contextmanager
def ids_for_each_commit() -> Generator[None]:
    """The ids of emitted events are drawn anew each time that a step commits."""
    serial = itertools.count()
    named = identity.emitted_id

    def drawn(record: str, step_: str, ordinal: int, kind: str = "event") -> str:
        return str(named(record, f"{step_}/{next(serial)}", ordinal, kind))

    with patch.object(identity, "emitted_id", drawn):
        yield
