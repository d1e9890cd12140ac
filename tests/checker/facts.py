"""What a history says of the calls of the store, and of their answers.

The details of calls:

    start     run_id, digest, workflow        emit, skip   name
    begin     begin_id, lease, ended, alone, cause, framework, starts (a workflow), joins, answer (of a verdict)
    commit    result, events: [id, name, payload], timers: [key, at, relative, id, name, payload], cancelled: [key],
              data: [key, digest]
    fail      outcome, error, error_type, delay, max_attempts, answer
    release   after, reason                   renew        lease
    reject    delivery_limit, reason, answer  mark         rows, unrouted, returned, copies: [step, kind, generation]
    redrive, discard, edit                    letter, and pass_id, then, force where there are any
    hand_over service, rows: [record, row]
    take_turn limiter; answered with TooEarly and `wait` (milliseconds), or with Turn
    others    by, reason

and of answers, where they have them: `rows` (id, kind, record, event, worker, step, generation, payload), and the
fields of the answer's class under their own names; a letter by its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.identity import digest
from pavane.core.record import EventRow, Letter, Record
from pavane.ports.store import Tick
from tests.checker.recorder import Facts

PLAIN = (str, int, float, bool)
JOB = {"record", "step", "worker", "kind", "token", "generation"}


def of_call(call: c.Call) -> Facts:
    """The facts of a call's `invoke`."""
    facts: Facts = {name: value for name in JOB if (value := getattr(call, name, None)) not in (None, "")}
    event: EventRow | None = getattr(call, "event", None)
    if event is not None:
        facts["event"] = event.id
        facts["payload"] = digest(event.payload)
    elif isinstance(call, c.Begin | c.Commit | c.Fail):
        facts["event"] = call.step.partition(":")[2]
    if "worker" not in facts and "step" in facts:
        facts["worker"] = facts["step"].partition(":")[0]
    facts["detail"] = details(call)
    return facts


def details(call: c.Call) -> dict[str, Any]:
    """What the call says beside its job."""
    found: dict[str, Any] = plain(call, JOB | {"error"})
    match call:
        case c.Start():
            found["workflow"] = call.contract.workflow
        case c.Emit() | c.Skip() | c.Edit():
            found["name"] = call.event.name
        case c.Begin():
            found |= {"ended": list(call.ended), "joins": call.join is not None}
            found |= {"starts": call.contract.workflow if call.contract else "", "answer": verdict(call)}
        case c.Commit():
            relative = set(call.relative)
            found["events"] = [[event.id, event.name, digest(event.payload)] for event in call.events]
            found["timers"] = [
                [
                    timer.key,
                    timer.at,
                    timer.key in relative,
                    timer.event.id,
                    timer.event.name,
                    digest(timer.event.payload),
                ]
                for timer in call.timers
            ]
            found["cancelled"] = list(call.cancelled_timers)
            found["data"] = [[key, digest(value)] for key, value in call.data]
        case c.Fail() | c.Reject():
            found |= {"answer": verdict(call)}
        case c.Mark():
            found |= {
                "rows": list(call.rows),
                "unrouted": list(call.unrouted),
                "returned": list(call.returned),
            }
            found["copies"] = [[copy.step, copy.kind, copy.generation] for copy in call.copies]
        case _:
            pass
    return found


def verdict(call: c.Begin | c.Fail | c.Reject) -> str:
    """The id of the event that `on_exhausted` answers with, should the job die."""
    return call.verdict.answer.id if call.verdict and call.verdict.answer else ""


def of_answer(answer: Any) -> Facts:
    """The facts of a call's end."""
    facts: Facts = {"answer": type(answer).__name__}
    for name in ("token", "attempt", "generation"):
        if isinstance(value := getattr(answer, name, None), int):
            facts[name] = value
    found = plain(answer, {"token", "attempt", "generation"})
    if isinstance(letter := getattr(answer, "letter", None), Letter):
        found |= {"letter": letter.id, "reason": letter.reason}
    if rows := getattr(answer, "rows", ()):
        found["rows"] = published(rows)
    facts["detail"] = found
    return facts


def of_nothing(answer: None) -> Facts:
    return {"answer": "Done"}


def of_turn(wait: int) -> Facts:
    return {"answer": "TooEarly" if wait else "Turn", "detail": {"wait": wait}}


def of_tick(answer: Tick) -> Facts:
    return {"answer": "Tick", "detail": {"now": answer.now, "rows": published(answer.rows)}}


def of_record(record: Record | None) -> Facts:
    """What a reader saw. Everything here only ever grows while a record lives."""
    if record is None:
        return {"answer": "None"}
    head = record.head
    seen = {
        "phase": head.phase,
        "started_at": head.started_at,
        "seq": head.seq,
        "commits": head.commits,
        "tokens": head.tokens,
        "committed": sorted(row.step for row in record.steps.values() if row.committed),
    }
    return {"answer": "Record", "detail": seen}


def published(rows: Iterable[a.Publication]) -> list[list[Any]]:
    return [
        [
            row.row,
            row.kind,
            row.record,
            row.event.id,
            row.worker,
            row.step,
            row.generation,
            digest(row.event.payload),
        ]
        for row in rows
    ]


NAMES: dict[type, tuple[str, ...]] = {}
"""Of each class's fields: a simulation asks a million times."""


def plain(value: Any, without: set[str]) -> dict[str, Any]:
    """The fields of a call or answer that are plain values, and say anything."""
    kind = type(value)
    names = NAMES.get(kind) or NAMES.setdefault(kind, tuple(field.name for field in fields(kind)))
    return {
        name: said
        for name in names
        if name not in without and isinstance(said := getattr(value, name), PLAIN) and said not in ("", False)
    }
