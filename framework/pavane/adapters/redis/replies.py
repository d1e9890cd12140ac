"""What the scripts answer, as the values of `core.answers`.

An answer is its kind, its fields as JSON, and blobs. Events that the caller has just sent are not sent back: a
publication without a blob is made from the call's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from pavane.adapters.redis import rows
from pavane.core import answers
from pavane.core.answers import Publication
from pavane.core.calls import Begin, Commit, Emit, Fail, Reject, Skip, Start
from pavane.core.record import EventRow

Json = dict[str, Any]
Reader = Callable[[Any, Json, list[bytes]], Any]


def sent(call: Any) -> Iterable[EventRow]:
    """The events of a call that its answer may ask to publish."""
    match call:
        case Commit():
            return call.events
        case Start() | Emit() | Skip():
            return (call.event,)
        case Begin() | Fail() | Reject() if call.verdict is not None and call.verdict.answer is not None:
            return (call.verdict.answer,)
        case _:
            return ()


def publications(call: Any, fields: Json, blobs: list[bytes]) -> tuple[Publication, ...]:
    listed = fields.get("rows")
    if not listed:
        return ()
    own = {event.id: event for event in sent(call)}
    return tuple(publication(call.record, row, blobs, own) for row in listed)


def publication(
    record: str, row: Json, blobs: list[bytes], own: Mapping[str, EventRow] | None = None
) -> Publication:
    number = row.get("blob")
    event = rows.event(numbered(blobs, number)) if number else (own or {})[row["row"]]
    if "step" not in row:
        return Publication(row=row["row"], kind="event", record=record, event=event)
    return Publication(
        row=row["row"],
        kind=row.get("kind", "undo"),
        record=record,
        event=event,
        worker=row["worker"],
        step=row["step"],
        generation=row["generation"],
        edited=row.get("edited", False),
    )


def numbered(blobs: list[bytes], number: int) -> bytes:
    """Blobs are counted from one."""
    return blobs[number - 1]


def granted(call: Any, fields: Json, blobs: list[bytes]) -> answers.Granted:
    now = fields["now"]
    fields = {
        "failures": 0,
        "last_delay": 0,
        "lease_until": now + call.lease,
        "step_started_at": now,
    } | fields
    for name in ("event", "result"):
        if name in fields:
            fields[name] = rows.event(numbered(blobs, fields[name]))
    if "joined" in fields:
        fields["joined"] = tuple(rows.event(numbered(blobs, number)) for number in fields["joined"])
    if "data" in fields:
        fields["data"] = tuple(
            sorted((key, numbered(blobs, number)) for key, number in fields["data"].items())
        )
    return answers.Granted(**fields)


def dead(call: Any, fields: Json, blobs: list[bytes]) -> answers.Dead:
    return answers.Dead(
        letter=rows.letter(fields["letter"]),
        generation=fields["generation"],
        publish=fields["publish"],
        rows=publications(call, fields, blobs),
    )


def plain(answer: Callable[..., Any]) -> Reader:
    """For an answer whose fields come as they are."""
    return lambda call, fields, blobs: answer(**fields)


def with_rows(answer: Callable[..., Any]) -> Reader:
    """For an answer that asks to publish rows."""

    def read(call: Any, fields: Json, blobs: list[bytes]) -> Any:
        fields["rows"] = publications(call, fields, blobs)
        return answer(**fields)

    return read


READERS: Mapping[bytes, Reader] = {
    b"granted": granted,
    b"dead": dead,
    b"committed": with_rows(answers.Committed),
    b"late": with_rows(answers.Late),
    b"fenced": plain(answers.Fenced),
    b"leased": plain(answers.Leased),
    b"not_yet": plain(answers.NotYet),
    b"refused": plain(answers.Refused),
    b"paused": plain(answers.Paused),
    b"held": plain(answers.Held),
    b"not_paused": plain(answers.NotPaused),
    b"done": with_rows(answers.Done),
    b"stale": plain(answers.Stale),
    b"retrying": plain(answers.Retrying),
    b"recorded": with_rows(answers.Recorded),
    b"exhausted": plain(answers.Exhausted),
    b"isolate": plain(answers.Isolate),
    b"unknown_run": plain(answers.UnknownRun),
    b"started": with_rows(answers.Started),
    b"emitted": with_rows(answers.Emitted),
    b"released": with_rows(answers.Released),
    b"renewed": plain(answers.Renewed),
    b"put_back": plain(answers.PutBack),
    b"marked": plain(answers.Marked),
    b"redriven": plain(answers.Redriven),
    b"discarded": with_rows(answers.Discarded),
    b"edited": with_rows(answers.Edited),
    b"filed": with_rows(answers.Filed),
}


def read(call: Any, reply: list[Any]) -> Any:
    """The answer to a call."""
    return READERS[reply[0]](call, orjson.loads(reply[1]), reply[3:])
