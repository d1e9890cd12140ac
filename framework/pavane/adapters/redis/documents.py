"""Calls as the scripts read them: one JSON document, and blobs that it refers to by number.

What has its default value in the script's eyes is left out, and so are empty lists, which Lua cannot tell from
empty objects. Payloads travel as blobs, and are stored as they came.
"""

from __future__ import annotations

from typing import Any

import orjson

from pavane.core.calls import (
    Begin,
    Commit,
    CommitUndo,
    Discard,
    Edit,
    Emit,
    Fail,
    File,
    JoinSpec,
    Mark,
    Redrive,
    Reject,
    Release,
    Renew,
    Start,
    Verdict,
)
from pavane.core.record import Contract, EventRow, Letter, UndoSpec

Document = dict[str, Any]
Blobs = list[bytes]


def to_json(document: Any) -> bytes:
    """JSON; text that UTF-8 cannot say (lone surrogates in an error's message) is mended, not refused."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return orjson.dumps(mended(document))


def mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {mended(name): mended(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, (list, tuple)):
        return [mended(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def event_bytes(event: EventRow) -> bytes:
    """An event as it is stored: a line of JSON, a newline, the payload as it came."""
    about = (event.id, event.name, event.version, event.time, event.producer, event.causation, event.hops)
    return to_json([*about, *event.trace]) + b"\n" + event.payload


def event_in(event: EventRow, blobs: Blobs) -> Document:
    """An event of a call; its bytes become a blob."""
    blobs.append(event_bytes(event))
    return {"id": event.id, "name": event.name, "blob": len(blobs)}


def contract_in(contract: Contract) -> Document:
    document: Document = {
        "workflow": contract.workflow,
        "deadline": contract.deadline,
        "retention": contract.retention,
        "idle_after": contract.idle_after,
        "max_history": contract.max_history,
    }
    if contract.completes:
        document["completes"] = contract.completes
    if contract.fails:
        document["fails"] = contract.fails
    if contract.undo != "sequential":
        document["undo"] = contract.undo
    return document


def undo_in(undo: UndoSpec) -> Document:
    document: Document = {"uncertain": undo.uncertain}
    if undo.admits is not None:
        document["admits"] = undo.admits
    return document


def join_in(join: JoinSpec, blobs: Blobs) -> Document:
    document: Document = {"event": event_in(join.event, blobs)}
    if join.names:
        document["names"] = join.names
    return document


def letter_in(letter: Letter) -> Document:
    document: Document = {
        name: getattr(letter, name)
        for name in ("id", "kind", "step", "worker", "event", "reason", "error", "error_type")
    }
    for name in ("traceback", "fingerprint", "where", "raw", "headers"):
        value = getattr(letter, name)
        if value:
            document[name] = value
    return document


def verdict_in(verdict: Verdict, blobs: Blobs) -> Document:
    document: Document = {"letter": letter_in(verdict.letter), "policy": verdict.policy}
    if verdict.answer is not None:
        document["answer"] = event_in(verdict.answer, blobs)
    return document


def start(call: Start, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "run_id": call.run_id,
        "contract": contract_in(call.contract),
        "event": event_in(call.event, blobs),
        "digest": call.digest,
        "by": call.by,
    }


def emit(call: Emit, blobs: Blobs) -> Document:
    return {"subscribed": call.subscribed, "event": event_in(call.event, blobs), "by": call.by}


def begin(call: Begin, blobs: Blobs) -> Document:
    document: Document = {
        "step": call.step,
        "worker": call.worker,
        "kind": call.kind,
        "generation": call.generation,
        "begin_id": call.begin_id,
        "host": call.host,
        "lease": call.lease,
    }
    if call.event is not None:
        document["event"] = event_in(call.event, blobs)
    if call.contract is not None:
        document["contract"] = contract_in(call.contract)
        document["run_id"] = call.run_id
        document["digest"] = call.digest
    if call.compensation is not None:
        document["compensation"] = undo_in(call.compensation)
    if call.join is not None:
        document["join"] = join_in(call.join, blobs)
    if call.verdict is not None:
        document["verdict"] = verdict_in(call.verdict, blobs)
    for name in ("subscribed", "cause", "framework", "edited", "alone", "ended", "step_timeout"):
        value = getattr(call, name)
        if value:
            document[name] = value
    return document


def commit(call: Commit, blobs: Blobs) -> Document:
    document: Document = {"step": call.step, "token": call.token}
    if call.subscribed:
        document["subscribed"] = call.subscribed
    if call.result:
        document["result"] = call.result
    if call.events:
        document["events"] = [event_in(event, blobs) for event in call.events]
    if call.data:
        document["data"] = data = dict[str, int]()
        for key, value in call.data:
            blobs.append(value)
            data[key] = len(blobs)
    if call.timers:
        document["timers"] = [
            {
                "key": timer.key,
                "at": timer.at,
                "event": {**event_in(timer.event, blobs), "causation": timer.event.causation},
            }
            for timer in call.timers
        ]
        document["relative"] = call.relative
    if call.cancelled_timers:
        document["cancelled_timers"] = call.cancelled_timers
    return document


def commit_undo(call: CommitUndo, blobs: Blobs) -> Document:
    return {"subscribed": call.subscribed, "step": call.step, "token": call.token}


def fail(call: Fail, blobs: Blobs) -> Document:
    document: Document = {
        "subscribed": call.subscribed,
        "step": call.step,
        "kind": call.kind,
        "token": call.token,
        "outcome": call.outcome,
        "error": call.error,
        "error_type": call.error_type,
        "delay": call.delay,
        "max_attempts": call.max_attempts,
        "step_timeout": call.step_timeout,
    }
    if call.verdict is not None:
        document["verdict"] = verdict_in(call.verdict, blobs)
    return document


def release(call: Release, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "step": call.step,
        "kind": call.kind,
        "token": call.token,
        "after": call.after,
        "reason": call.reason,
    }


def renew(call: Renew, blobs: Blobs) -> Document:
    return {
        "step": call.step,
        "kind": call.kind,
        "token": call.token,
        "lease": call.lease,
        "progress": call.progress,
        "note": call.note,
    }


def reject(call: Reject, blobs: Blobs) -> Document:
    document: Document = {
        "subscribed": call.subscribed,
        "step": call.step,
        "worker": call.worker,
        "kind": call.kind,
        "generation": call.generation,
        "verdict": verdict_in(call.verdict, blobs),
    }
    if call.event is not None:
        document["event"] = event_in(call.event, blobs)
    if call.own_record:
        document["own_record"] = True
    if call.delivery_limit:
        document["delivery_limit"] = True
    return document


def mark(call: Mark) -> Document:
    """One of the marks that go out together."""
    document: Document = {"record": call.record}
    if call.rows:
        document["rows"] = call.rows
    if call.unrouted:
        document["unrouted"] = call.unrouted
    if call.returned:
        document["returned"] = call.returned
    if call.copies:
        document["copies"] = [
            {"step": copy.step, "kind": copy.kind, "generation": copy.generation} for copy in call.copies
        ]
    return document


def redrive(call: Redrive, blobs: Blobs) -> Document:
    return {
        "letter": call.letter,
        "step": call.step,
        "kind": call.kind,
        "generation": call.generation,
        "pass_id": call.pass_id,
        "force": call.force,
        "by": call.by,
        "reason": call.reason,
    }


def discard(call: Discard, blobs: Blobs) -> Document:
    return {
        "subscribed": call.subscribed,
        "letter": call.letter,
        "step": call.step,
        "kind": call.kind,
        "generation": call.generation,
        "then": call.then,
        "by": call.by,
        "reason": call.reason,
    }


def edit(call: Edit, blobs: Blobs) -> Document:
    return {
        "letter": call.letter,
        "step": call.step,
        "generation": call.generation,
        "event": event_in(call.event, blobs),
        "new_key": call.new_key,
        "by": call.by,
        "reason": call.reason,
    }


def file(call: File, blobs: Blobs) -> Document:
    document: Document = {
        "subscribed": call.subscribed,
        "step": call.step,
        "worker": call.worker,
        "kind": call.kind,
        "generation": call.generation,
        "letter": letter_in(call.letter),
        "by": call.by,
        "reason": call.reason,
    }
    if call.event is not None:
        document["event"] = event_in(call.event, blobs)
    if call.own_record:
        document["own_record"] = True
    return document
