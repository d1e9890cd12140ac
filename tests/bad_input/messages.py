"""Messages that arrive at `door.hear`, which takes `bad.knocked`: `by` (text), `times` (number), nothing else."""

from __future__ import annotations

import gzip
import itertools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.bad_input.case import HANDLED, Case, Group
from tests.bad_input.wire import JSON, HeaderValue, event_headers, message_properties
from tests.integration.raw_amqp import HOSTILE

GOOD_BODY = b'{"by": "somebody"}'
LIMIT = 262_144

IN_THE_QUEUE = "dead letter"
"""The head of the page says what that is."""

MEND_THE_SENDER = "Mend the sender and have it send again; `pavane dlq discard` the letter."
NOTHING = "Nothing to do."

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Arrival(Case):
    """A message on the wire.

    Attributes:
        says: part of the letter's error.
        body: of the message.
        properties: bytes of the whole content header; empty: made of `headers` and `content_type`.
        headers: instead of, or besides, those of a good event.
        without: headers of a good event that are left out.
        event_id: unique, unless `headers` say otherwise.
    """

    seen: str = IN_THE_QUEUE
    says: str = ""
    body: bytes = GOOD_BODY
    properties: bytes = b""
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    content_type: bytes | None = JSON
    event_id: str = field(default_factory=lambda: f"case-{next(_numbers)}")

    def wire(self) -> bytes:
        """The content header as it is sent."""
        if self.properties:
            return self.properties
        headers = event_headers("bad.knocked", self.event_id, pavane_version=2) | dict(self.headers)
        return message_properties(
            {name: value for name, value in headers.items() if name not in self.without}, self.content_type
        )


def undecodable(what: str, body: bytes, says: str) -> Arrival:
    return Arrival(what=what, code="undecodable", body=body, says=says, remedy=MEND_THE_SENDER)


BODIES = (
    undecodable("a body that is no text", b"\xff\xfe\x00\x01", "Not JSON"),
    undecodable("an empty body", b"", "Not JSON"),
    undecodable("JSON cut off in the middle", b'{"by": "some', "Not JSON"),
    undecodable("a byte order mark before the JSON", b"\xef\xbb\xbf" + GOOD_BODY, "Not JSON"),
    undecodable("`NaN` or `Infinity` in the JSON", b'{"by": "x", "times": NaN}', "NaN"),
    undecodable("JSON nested deeper than 64", b"[" * 65 + b"]" * 65, "deeper than 64"),
    undecodable("two hundred thousand brackets", b"[" * 200_000, "More than 50,000 values"),
    undecodable("more than 50,000 values", b"[" + b"0," * 50_000 + b"0]", "More than 50,000 values"),
    undecodable("a compressed body", gzip.compress(GOOD_BODY), "Not JSON"),
    undecodable("a pickled object: it is never loaded", pickle.dumps({"by": "x"}), "Not JSON"),
    Arrival(
        what="a body over 256 KiB (`PAVANE_MAX_BODY`): it is not parsed",
        code="too_large",
        says="262144 are allowed",
        body=b'{"by": "' + b"x" * LIMIT + b'"}',
        remedy="Keep large content elsewhere and send its place; or raise the limit everywhere, then redrive.",
    ),
    Arrival(
        what="a body of three megabytes",
        code="too_large",
        says="bytes",
        body=b"x" * 3_000_000,
        remedy="As above.",
    ),
)


def schema(what: str, body: bytes, says: str) -> Arrival:
    remedy = "Mend the sender; or deploy a class that takes it, then `pavane dlq redrive`."
    return Arrival(what=what, code="invalid_payload", body=body, says=says, remedy=remedy)


SCHEMA = (
    schema("a field is missing", b"{}", "by: Field required"),
    schema("a field of another type", b'{"by": 7}', "by: Input should be a valid string"),
    schema("a number that is too large to be one", b'{"by": "x", "times": 1e999}', "times"),
    schema(
        'a field nobody knows, where the class says `extra="forbid"`',
        b'{"by": "x", "else": 1}',
        "else: Extra",
    ),
    schema("JSON that is no object", b'["by"]', "payload"),
    Arrival(
        what="an older version that no upcaster lifts",
        code="invalid_payload",
        headers={"pavane-version": 1},
        says="older than what this class can lift",
        remedy="Add an `upcaster(from_version=…)` to the event's class, deploy, redrive.",
    ),
    Arrival(
        what="version 0",
        code="undecodable",
        headers={"pavane-version": 0},
        says="is no version",
        remedy=MEND_THE_SENDER,
    ),
    Arrival(
        what="a version that is no number",
        code="undecodable",
        headers={"pavane-version": "two"},
        says="is no version",
        remedy=MEND_THE_SENDER,
    ),
    Arrival(
        what="an event that the worker does not take, put into its queue",
        code="unknown_event",
        headers={"cloudEvents_type": "bad.paid"},
        says="door.hear takes no bad.paid",
        remedy="Unbind the queue from it; or deploy the version of the worker that takes it, then redrive.",
    ),
)


def wrong_type(what: str, content_type: bytes) -> Arrival:
    return Arrival(
        what=what,
        code="undecodable",
        content_type=content_type,
        says="is not application/json",
        remedy="Publish events as JSON.",
    )


CONTENT_TYPES = (
    wrong_type("content type `text/plain`", b"text/plain"),
    wrong_type("content type `application/x-python-serialize`", b"application/x-python-serialize"),
    wrong_type("a content type of control characters", b"\x1b[31m\r\n"),
    Arrival(
        what="content type `Application/JSON; charset=utf-8`",
        code=HANDLED,
        seen="nowhere",
        content_type=b"Application/JSON; charset=utf-8",
        remedy=NOTHING,
    ),
    Arrival(
        what="no content type: taken for JSON",
        code=HANDLED,
        seen="nowhere",
        content_type=None,
        remedy=NOTHING,
    ),
)

NO_NUMBER = Case(
    what="a header that is `NaN` or infinity as a floating-point number",
    code="refused by RabbitMQ",
    seen="RabbitMQ itself closes the sender's connection; no worker sees anything",
    remedy="Mend the sender.",
)

KILLERS = tuple(
    Arrival(
        what=what,
        code="undecodable",
        body=case.encode(),
        properties=HOSTILE[case][0],
        says=HOSTILE[case][1],
        remedy=MEND_THE_SENDER,
    )
    for case, what in {
        "timestamp": "a timestamp past every calendar",
        "timestamp of the year 300,000": "a timestamp of the year 300,000",
        "timestamp in a header": "such a timestamp in a header",
        "content type": "a content type of bad UTF-8",
        "message id": "a message id of bad UTF-8",
        "header name": "a header's name of bad UTF-8",
        "nested tables": "tables nested 3,000 deep in a header",
        "nested arrays": "arrays nested 3,000 deep in a header",
    }.items()
) + tuple(
    Arrival(
        what=what,
        code="undecodable",
        body=case.encode(),
        properties=HOSTILE[case][0],
        says=HOSTILE[case][1],
        remedy=MEND_THE_SENDER,
    )
    for case, what in {
        "header value": "a header's text of bad UTF-8",
        "a table": "a header that is a table",
        "CC": "a `CC` header, which would go round the permissions of a topic",
    }.items()
)


def bad_header(what: str, says: str, headers: Mapping[str, HeaderValue], *without: str) -> Arrival:
    return Arrival(
        what=what,
        code="undecodable",
        headers=headers,
        without=without,
        says=says,
        remedy=MEND_THE_SENDER,
    )


def ignored(what: str, headers: Mapping[str, HeaderValue]) -> Arrival:
    return Arrival(what=what, code=HANDLED, seen="nowhere", headers=headers, remedy=NOTHING)


HEADERS = (
    Arrival(
        what="no headers at all",
        code="undecodable",
        properties=message_properties({}),
        says="cloudEvents_type",
        remedy=MEND_THE_SENDER,
    ),
    bad_header("no event type", "cloudEvents_type", {}, "cloudEvents_type"),
    bad_header("an event type of `../../etc` or `a.*.b`", "no event name", {"cloudEvents_type": "a.*.b"}),
    bad_header("no event id", "is no event id", {}, "cloudEvents_id"),
    bad_header("an event id with spaces or braces", "is no event id", {"cloudEvents_id": "{s07} x"}),
    bad_header("an event id that is a number", "is no event id", {"cloudEvents_id": 7}),
    bad_header("more than 16 KiB of headers", "16384 bytes of headers", {"long": "x" * 20_000}),
    Arrival(
        what="headers that nearly fill a frame of 128 KiB",
        code="undecodable",
        headers={"long": "x" * 130_000},
        says="16384 bytes",
        remedy="Mend the sender. The letter has no room for the longest headers (the index keeps them): "
        "a redrive runs without them.",
    ),
    ignored("a time that is none", {"cloudEvents_time": "yesterday"}),
    ignored("a generation of 2^62: a header never moves a job forward", {"pavane-generation": 2**62}),
    ignored("a generation below zero", {"pavane-generation": -1}),
    ignored("a generation of `NaN` as text", {"pavane-generation": "NaN"}),
    ignored("a generation of 1.5", {"pavane-generation": 1.5}),
    ignored("a small generation that was never given", {"pavane-generation": 3}),
    ignored("a number of hops below zero", {"pavane-hops": -5}),
    ignored(
        "`x-death` and `x-delivery-count` set by the sender", {"x-death": "forged", "x-delivery-count": 99}
    ),
    ignored("a forged dead letter's headers", {"pavane-letter": "forged", "pavane-reason": "rejected"}),
    ignored("a trace of garbage", {"traceparent": "\x1b[31m", "baggage": "x" * 9000}),
)


def bad_run(what: str, run: str) -> Arrival:
    return Arrival(
        what=f"a `pavane-run` header {what}",
        code="undecodable",
        headers={"pavane-run": run},
        says="is no run",
        remedy="Runs are named `<workflow>:<run id>`, ids `[A-Za-z0-9._:-]{1,128}`. Mend the sender.",
    )


RUNS = (
    bad_run("with spaces", "bad_orders:a b"),
    bad_run("with slashes", "bad_orders:../a"),
    bad_run("with braces, which would move the run to another shard", "bad_orders:{s07}"),
    bad_run("of 10,000 characters", f"bad_orders:{'x' * 10_000}"),
    bad_run("without a workflow", "7"),
    Arrival(
        what="an event of a run that does not exist",
        code="unknown_run",
        headers={"pavane-run": "bad_orders:never_started"},
        says="There is no run bad_orders:never_started",
        remedy="Start the run, then `pavane dlq redrive`.",
    ),
    Arrival(
        what="an event of a run of a workflow that does not exist",
        code="unknown_run",
        headers={"pavane-run": "nothing:1"},
        says="There is no run nothing:1",
        remedy="As above; or mend the sender, and discard the letter.",
    ),
    Arrival(
        what="a `pavane-edited` header that is no record's name",
        code="undecodable",
        headers={"pavane-edited": "a b"},
        says="is no record",
        remedy="Only `pavane dlq edit` writes it: mend the sender, and discard the letter.",
    ),
    Arrival(
        what="a `pavane-edited` header of a run that does not exist",
        code="unknown_run",
        headers={"pavane-edited": "bad_orders:never_started"},
        says="There is no run bad_orders:never_started",
        remedy="As above: nothing is run for a header's sake.",
    ),
)

GROUPS = (
    Group(
        title="Bodies",
        about="JSON is the only format. Bytes are validated as they are; nothing is unpickled, imported or run.",
        cases=BODIES,
    ),
    Group(
        title="Schemas and versions",
        about="The letter's error names every field that is wrong, and never shows its value.",
        cases=SCHEMA,
    ),
    Group(title="Content types", about="", cases=CONTENT_TYPES),
    Group(
        title="Messages that kill connections",
        about="RabbitMQ delivers them, and the usual Python decoder raises before any code of the application "
        "runs: the connection drops, comes back, and gets the same message again, for ever. pavane reads what "
        "can be read and names the rest.",
        cases=KILLERS,
    ),
    Group(
        title="Headers",
        about="What identifies the event has to be there and right. A number that could only hurry or delay "
        "something counts as absent if it is out of range. No header ever moves a job's record.",
        cases=(*HEADERS, NO_NUMBER),
    ),
    Group(title="Runs that headers claim", about="", cases=RUNS),
)
