"""Headers: how an event, a job's copy, an undo's wake-up and a letter are written on the wire, and read again.

Events are CloudEvents 1.0 in binary mode (`cloudEvents_*`; `cloudEvents:` and `ce-` are read too). Ours are
`pavane-*`. Everything read here is hostile until it has passed: what is missing or malformed where it
matters is `Undecodable`; a number that only hurries or delays (generation, hops) counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pavane.core.record import EventRow, JobKind
from pavane.errors import Undecodable
from pavane.model.names import event_name_problem, split_run

HeaderValue = str | int | float | bool

CONTENT_TYPE: Final = "application/json"
LARGEST_HEADERS: Final = 16_384
"""Bytes of all header names and values together."""

LARGEST_OF_A_LETTER: Final = 98_304
"""Bytes of a letter's headers. They travel in one frame of 128 KiB at most; what does not fit is in the index."""

RUN: Final = "pavane-run"
VERSION: Final = "pavane-version"
HOPS: Final = "pavane-hops"
GENERATION: Final = "pavane-generation"
KIND: Final = "pavane-kind"
STEP: Final = "pavane-step"
WAIT_UNTIL: Final = "pavane-wait-until"
LETTER: Final = "pavane-letter"
REASON: Final = "pavane-reason"
WORKER: Final = "pavane-worker"
RECORD: Final = "pavane-record"
OF_A_LETTER: Final = (LETTER, REASON, WORKER, RECORD)
EDITED: Final = "pavane-edited"
"""The record that a job belongs to whose event an edit of a dead letter has made, whatever its payload says."""

TRACE: Final = ("traceparent", "tracestate", "baggage")

_PREFIXES: Final = ("cloudEvents_", "cloudEvents:", "ce-")
_SPELLINGS: Final = {
    name: tuple(prefix + name for prefix in _PREFIXES) for name in ("id", "type", "source", "time")
}
_ID: Final = re.compile(r"[A-Za-z0-9._:/@+=-]{1,256}")
_STEP: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+:[A-Za-z0-9._:/@+=-]{1,256}")
_LONGEST: Final = 512
_LONGEST_BAGGAGE: Final = 8192
_LARGEST_NUMBER: Final = 2**31
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the headers of a delivery say, checked.

    Attributes:
        event: the event, its payload included; of an undo's wake-up only the id and name mean anything.
        run: the run's full name, or empty.
        generation: 0 if absent or out of range.
        step: of an undo: the step to undo.
        edited: the record whose dead letter was edited to this event, as the headers claim; usually empty.
        wait_until: until when a version nobody here knows yet is waited for; 0: not waiting.
    """

    event: EventRow
    run: str
    generation: int
    kind: JobKind
    step: str
    wait_until: int
    edited: str = ""

    @property
    def cause(self) -> str:
        """The step that emitted the event, as the headers claim: nothing is decided on it alone."""
        return f"{self.event.producer}:{self.event.causation}" if self.event.causation else ""


def event_headers(event: EventRow, run: str) -> dict[str, HeaderValue]:
    """Headers of an event on its way to its subscribers."""
    headers: dict[str, HeaderValue] = {
        "cloudEvents_specversion": "1.0",
        "cloudEvents_id": event.id,
        "cloudEvents_type": event.name,
        "cloudEvents_source": event.producer,
        "cloudEvents_time": rfc3339(event.time),
    }
    if event.version != 1:
        headers[VERSION] = event.version
    if event.causation:
        headers["causationid"] = event.causation
    if run:
        headers[RUN] = run
        headers["correlationid"] = run
    if event.hops:
        headers[HOPS] = event.hops
    for name, value in zip(TRACE, event.trace, strict=True):
        if value:
            headers[name] = value
    return headers


def undo_headers(event: EventRow, run: str, step: str, generation: int) -> dict[str, HeaderValue]:
    """Headers of the wake-up of a step's undo; its arguments come from the record."""
    headers = event_headers(event, run)
    headers[KIND] = "undo"
    headers[STEP] = step
    if generation:
        headers[GENERATION] = generation
    return headers


def copy_headers(headers: Mapping[str, HeaderValue], generation: int) -> dict[str, HeaderValue]:
    """Headers of a job's next copy: those of its delivery, with another generation, and no letter's.

    What the broker added (`x-*`) goes: a copy that kept it would be dropped as a dead-letter cycle.
    """
    kept = {
        name: value
        for name, value in headers.items()
        if not name.startswith("x-") and name not in OF_A_LETTER and name != GENERATION
    }
    if generation:
        kept[GENERATION] = generation
    return kept


def letter_headers(
    headers: Mapping[str, HeaderValue],
    *,
    letter: str,
    reason: str,
    worker: str,
    record: str,
    step: str,
    generation: int,
) -> dict[str, HeaderValue]:
    """Headers of a dead letter: the delivery's own, the longest left out if they are too many, and what finds
    its row again. The record is named, because it may be another than that of the run that emitted the event."""
    kept = copy_headers(headers, generation)
    sizes = {name: len(name.encode()) + len(str(value).encode()) + 8 for name, value in kept.items()}
    excess = sum(sizes.values()) - LARGEST_OF_A_LETTER
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if excess <= 0:
            break
        excess -= sizes[name]
        del kept[name]
    return {**kept, LETTER: letter, REASON: reason, WORKER: worker, RECORD: record, STEP: step}


def read(headers: Mapping[str, object], body: bytes, content_type: str | None) -> Envelope:
    """What a delivery says about itself.

    Raises:
        Undecodable: another content type, too many headers, or one that identifies the event is missing or bad.
    """
    if (content_type or CONTENT_TYPE).partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise Undecodable(
            f"Content type {content_type!a:.80} is not {CONTENT_TYPE}.", remedy="Publish the event as JSON."
        )
    if sum([len(name) + len(str(value)) for name, value in headers.items()]) > LARGEST_HEADERS:
        raise Undecodable(f"More than {LARGEST_HEADERS} bytes of headers.")
    name = cloud_text(headers, "type")
    if wrong := event_name_problem(name):
        raise Undecodable(f"Header cloudEvents_type: {wrong}")
    event_id = cloud_text(headers, "id")
    if not _ID.fullmatch(event_id):
        raise Undecodable(f"Header cloudEvents_id: {event_id!a:.80} is no event id.")
    run = text(headers, RUN)
    # Not as if it were absent: the event would be taken for one that belongs to no run.
    if headers.get(RUN, "") != "" and split_run(run) is None:
        raise Undecodable(
            f"Header {RUN}: {str(headers[RUN])!a:.80} is no run.", remedy="It is <workflow>:<run id>."
        )
    if headers.get(VERSION, 1) != 1 and number(headers, VERSION, default=-1) < 1:
        raise Undecodable(f"Header {VERSION}: {str(headers[VERSION])!a:.80} is no version.")
    edited = text(headers, EDITED)
    if headers.get(EDITED, "") != "" and not edited.startswith("~") and split_run(edited) is None:
        raise Undecodable(f"Header {EDITED}: {str(headers[EDITED])!a:.80} is no record.")
    undo = text(headers, KIND) == "undo"
    step = text(headers, STEP)
    if undo and (not run or not _STEP.fullmatch(step)):
        raise Undecodable(f"Header {STEP}: {step!a:.80} is no step to undo.")
    return Envelope(
        event=EventRow(
            id=event_id,
            name=name,
            version=number(headers, VERSION, default=1),
            time=when(cloud_text(headers, "time")),
            payload=body,
            producer=cloud_text(headers, "source"),
            causation=text(headers, "causationid"),
            hops=number(headers, HOPS, default=0),
            trace=(
                text(headers, TRACE[0]),
                text(headers, TRACE[1]),
                text(headers, TRACE[2], _LONGEST_BAGGAGE),
            ),
        ),
        run=run,
        generation=number(headers, GENERATION, default=0),
        kind="undo" if undo else "step",
        step=step if undo else "",
        wait_until=number(headers, WAIT_UNTIL, default=0, largest=2**53),
        edited=edited,
    )


def text(headers: Mapping[str, object], name: str, longest: int = _LONGEST) -> str:
    """A header as printable ASCII text; empty if it is absent or anything else."""
    value = headers.get(name)
    fits = isinstance(value, str) and len(value) <= longest and value.isascii() and value.isprintable()
    return value if fits and isinstance(value, str) else ""


def cloud_text(headers: Mapping[str, object], name: str) -> str:
    """A CloudEvents attribute under the first of its prefixes that is there."""
    for spelled in _SPELLINGS[name]:
        if spelled in headers:
            return text(headers, spelled)
    return ""


def number(headers: Mapping[str, object], name: str, *, default: int, largest: int = _LARGEST_NUMBER) -> int:
    """A header as a whole number from 0; `default` if it is absent, out of range or anything else."""
    value = headers.get(name)
    in_range = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
    return value if in_range and isinstance(value, int) else default


def when(value: str) -> int:
    """An RFC 3339 time in milliseconds; 0 if it is none, or one outside the years that UTC can say."""
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC) if value else _EPOCH
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError, OSError):
        return 0


def rfc3339(at: int) -> str:
    """Milliseconds since the epoch as RFC 3339, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
