"""The record as the scripts store it, read back into the words of `core.record`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from pavane.adapters.redis.msgpack import unpacked, unpacked_first
from pavane.core.kept import HeldJob, Join
from pavane.core.record import (
    Attempt,
    Contract,
    EventRow,
    Head,
    History,
    Letter,
    OutboxRow,
    Record,
    StepRow,
    Timer,
    UndoSpec,
    Work,
)

Json = dict[str, Any]

_PRIVATE = (
    *("outbox", "timers", "held", "joins", "open"),
    *("shown", "due", "cap", "retention", "idle_after", "parallel"),
)
"""What the scripts keep in the head for themselves: counts of other rows, what was last indexed, and what they
need of the contract at every turn."""


def event(stored: bytes) -> EventRow:
    """An event: a line of JSON, a newline, the payload."""
    line, _, payload = stored.partition(b"\n")
    id_, name, version, time, producer, causation, hops, *trace = orjson.loads(line)
    return EventRow(
        id=id_,
        name=name,
        version=version,
        time=time,
        payload=payload,
        producer=producer,
        causation=causation,
        hops=hops,
        trace=(trace[0], trace[1], trace[2]),
    )


def contract(stored: Json) -> Contract:
    for name in ("completes", "fails"):
        stored[name] = tuple(stored.get(name) or ())
    return Contract(**stored)


def head(stored: Json, fixed: Json) -> Head:
    for name in _PRIVATE:
        stored.pop(name, None)
    if "contract" in fixed:
        fixed["contract"] = contract(fixed["contract"])
    return Head(**stored, **fixed)


def undo_spec(stored: Json) -> UndoSpec:
    admits = stored.get("admits")
    return UndoSpec(uncertain=stored["uncertain"], admits=None if admits is None else tuple(admits))


def work(stored: Json) -> Work:
    stored.pop("letter", None)
    if "attempts" in stored:
        stored["attempts"] = [Attempt(**attempt) for attempt in stored["attempts"]]
    return Work(**stored)


def worker_of(step_id: str) -> str:
    """The worker that a step's id names; what is stored says it only where it is another."""
    return step_id.partition(":")[0]


def step(id_: str, stored: Json) -> StepRow:
    stored["step"] = id_
    stored.setdefault("worker", worker_of(id_))
    stored["work"] = work(stored.get("work", {}))
    if "undo" in stored:
        stored["undo"] = work(stored["undo"] or {})  # Lua writes a map without entries as a list
    if "compensation" in stored:
        stored["compensation"] = undo_spec(stored["compensation"])
    return StepRow(**stored)


def letter(stored: Json) -> Letter:
    stored["headers"] = tuple((name, value) for name, value in stored.get("headers") or ())
    return Letter(**stored)


def history(stored: bytes) -> History:
    line: Json = orjson.loads(stored)
    if "step" in line:
        line.setdefault("worker", worker_of(line["step"]))
    line["detail"] = tuple(sorted(line.pop("detail", {}).items()))
    return History(**line)


def outbox_row(stored: Json) -> OutboxRow:
    return OutboxRow(**stored)


def held_job(id_: str, stored: Json) -> HeldJob:
    step_id = stored["step"]
    defaults: Json = {"kind": "step", "worker": worker_of(step_id), "event": "", "generation": 0}
    return HeldJob(id=id_, **(defaults | stored))


def join(worker: str, stored: Json) -> Join:
    stored["names"] = tuple(stored.get("names") or ())
    stored["arrived"] = tuple((name, id_) for name, id_ in stored.get("arrived") or ())
    return Join(worker=worker, **stored)


def timer(stored: bytes) -> Timer:
    about, rest = unpacked_first(stored)
    return Timer(key=about["key"], at=about["at"], event=event(rest), set_by=about["set_by"])


def pairs(flat: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """The fields of a hash, as Redis lists them."""
    fields = iter(flat)
    for name in fields:
        yield name.decode(), next(fields)


def record(
    run: list[bytes],
    events: list[bytes],
    data: list[bytes],
    waiting: list[bytes],
    lines: list[bytes],
    held: list[bytes],
) -> Record:
    """A whole record from its hashes and its history."""
    fields = dict(pairs(run))
    fields.pop("bounds", None)  # a copy of what `fixed` has
    found = Record(head=head(unpacked(fields.pop("head")), unpacked(fields.pop("fixed"))))
    for name, value in fields.items():
        read_field(found, name, value)
    found.events = {name: event(value) for name, value in pairs(events)}
    found.data = dict(pairs(data))
    for name, value in pairs(waiting):
        if name.startswith("o"):
            found.outbox[name[1:]] = outbox_row(unpacked(value))
        else:
            found.timers[name[1:]] = timer(value)
    found.held = {name: held_job(name, unpacked(value)) for name, value in pairs(held)}
    found.history = [history(line) for line in lines]
    return found


def read_field(found: Record, name: str, value: bytes) -> None:
    """One field of the hash `run:<record>`."""
    sort, _, id_ = name.partition(":")
    stored = unpacked(value)
    if name == "undo":
        found.undo = list(stored or ())
    elif name == "joins":
        found.joins = {worker: join(worker, value) for worker, value in dict(stored or {}).items()}
    elif sort == "step":
        found.steps[id_] = step(id_, stored)
    elif sort == "letter":
        found.letters[id_] = letter(stored)
