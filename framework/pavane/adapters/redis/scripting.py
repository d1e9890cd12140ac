"""The scripts: one Lua file per transition, and the fragments they stand on, put together as a library of functions.

The library is compiled when it is loaded, and stays; an EVALSHA ran the whole of it at every call. Its name carries
a hash of its text, so that processes of different versions share a server. What drains a full Redis is flagged
`allow-oom`; the rest is refused as a whole when memory is full, because Lua does not roll back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "scripts"

FRAGMENTS = (
    "lists",
    "call",
    "clock",
    "record",
    "outbox",
    "pausing",
    "joining",
    "branches",
    "ending",
    "agenda",
    "keep",
    "leasing",
    "compensation",
    "steering",
    "letters",
    "run",
    "review",
)
"""What the scripts stand on, in the order in which Lua must meet it."""

DRAINING = frozenset(
    {
        "fail",
        "release",
        "renew",
        "reject",
        "mark",
        "tick",
        "commit_undo",
        "disclaim",
        "hand_over",
        "give_back_turn",
        "cancel",
        "compensate",
        "audit",
    }
)
"""Calls that work when memory is full: what is running may end, and what is over may go. Whoever ends runs to make
room must be heard; a skip brings an event, and a pause stops nothing where nothing can begin."""

READING = frozenset({"present", "read", "history", "places", "owner", "audited"})

ADDING = frozenset(
    {"start", "emit", "begin", "commit", "redrive", "discard", "edit", "file", "claim", "take_turn"}
)
STEERING = frozenset({"pause", "hold", "resume", "skip", "move_deadline"})
"""Refused when memory is full."""

SCRIPTS = DRAINING | READING | ADDING | STEERING


@dataclass(frozen=True, slots=True)
class Library:
    """The scripts as the server gets them: its functions have the names that `functions` gives to them."""

    body: bytes
    functions: Mapping[str, bytes]


def load_library(replaced: Mapping[str, str] | None = None) -> Library:
    """All scripts. `replaced` gives other text for a fragment: the differential test moves the clock."""
    files = {name: (FOLDER / f"{name}.lua").read_text(encoding="utf-8") for name in (*FRAGMENTS, *SCRIPTS)}
    files |= replaced or {}
    anonymous = library_text("pavane", files)
    name = f"pavane_{hashlib.sha256(anonymous.encode()).hexdigest()[:16]}"
    functions = {script: f"{name}_{script}".encode() for script in SCRIPTS}
    return Library(library_text(name, files).encode(), functions)


def library_text(name: str, files: Mapping[str, str]) -> str:
    fragments = [files[fragment] for fragment in FRAGMENTS]
    functions = [registered(f"{name}_{script}", flags(script), files[script]) for script in sorted(SCRIPTS)]
    return "\n".join([f"#!lua name={name}", *fragments, *functions])


def registered(function: str, flags: str, text: str) -> str:
    """A script (its file returns a function) under its name; its locals are its own."""
    return f"""do
local run = (function()
{text}
end)()
redis.register_function{{
  function_name = '{function}', flags = {{ {flags} }},
  callback = function(keys, arguments)
    Call.take(keys, arguments)
    return run()
  end,
}}
end"""


def flags(script: str) -> str:
    """What Redis may expect of it."""
    if script in READING:
        return "'no-writes', 'allow-oom'"
    return "'allow-oom'" if script in DRAINING else ""


def pack_call(function: bytes, key: bytes, words: list[bytes]) -> bytes:
    """The call of a function with one key, as it goes over the wire."""
    parts = [
        b"*%d\r\n$5\r\nFCALL\r\n$%d\r\n%b\r\n$1\r\n1\r\n$%d\r\n%b\r\n"
        % (4 + len(words), len(function), function, len(key), key)
    ]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)
