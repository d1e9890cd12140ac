"""The scripts: one Lua file per transition, put together with the fragments it stands on.

A script is sent once and called by its hash. What drains a full Redis is flagged `allow-oom`; the rest is
refused as a whole when memory is full, because Lua does not roll back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "scripts"

_RECORD = ("clock", "lists", "call", "record", "outbox", "ending", "agenda", "keep")
_LEASE = (*_RECORD, "leasing", "compensation")
_ALL = (*_LEASE, "letters")

RARELY_USED = frozenset({"outbox", "ending", "leasing", "compensation", "letters", "run", "review"})
"""Fragments whose functions are made when the first of them is called. Making all functions of all fragments was a
third of what a call of a script cost."""

FRAGMENTS: Mapping[str, tuple[str, ...]] = {
    "start": (*_RECORD, "run"),
    "emit": _ALL,
    "begin": (*_ALL, "run"),
    "commit": _ALL,
    "commit_undo": _LEASE,
    "fail": _ALL,
    "release": _LEASE,
    "renew": _RECORD,
    "reject": _ALL,
    "mark": _RECORD,
    "redrive": _ALL,
    "discard": _ALL,
    "tick": (*_ALL, "review"),
    "read": ("clock", "lists", "call", "record", "agenda", "keep"),
    "history": ("clock", "lists", "call", "record", "agenda", "keep"),
    "places": ("lists", "call"),
    "owner": ("call",),
    "claim": ("clock",),
    "disclaim": (),
}
"""What each script stands on, in the order in which Lua must meet it."""

DRAINING = frozenset({"fail", "release", "renew", "reject", "mark", "tick", "commit_undo", "disclaim"})
"""Calls that work when memory is full: what is running may end, and what is over may go."""

READING = frozenset({"read", "history", "places", "owner"})


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the server gets it. `sha` is the name it is called by."""

    name: str
    body: bytes
    sha: bytes


def load_scripts(replaced: Mapping[str, str] | None = None) -> dict[str, Script]:
    """All scripts, by name. `replaced` gives other text for a fragment: the differential test moves the clock."""
    return {name: script(name, replaced or {}) for name in FRAGMENTS}


def script(name: str, replaced: Mapping[str, str]) -> Script:
    """One script: its first line says what Redis may expect of it."""
    parts = [shebang(name)]
    for fragment in (*FRAGMENTS[name], name):
        text = replaced.get(fragment) or (FOLDER / f"{fragment}.lua").read_text(encoding="utf-8")
        parts.append(made_when_called(text) if fragment in RARELY_USED else text)
    body = "\n".join(parts).encode()
    return Script(name, body, hashlib.sha1(body, usedforsecurity=False).hexdigest().encode())


def made_when_called(text: str) -> str:
    """A fragment (`local Name = {}`, then its functions) whose functions are not made before one is called."""
    comment, declared, functions = re.split(r"^(local \w+ = {})$", text, maxsplit=1, flags=re.MULTILINE)
    table = declared.split()[1]
    return f"""{comment}{declared}
setmetatable({table}, {{ __index = function(self, name)
setmetatable(self, nil)
{functions}
return rawget(self, name)
end }})
"""


def shebang(name: str) -> str:
    if name in READING:
        return "#!lua flags=no-writes,allow-oom"
    return "#!lua flags=allow-oom" if name in DRAINING else "#!lua"
