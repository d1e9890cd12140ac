"""Redis on the wire: which reply answers which command, and where each ends."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Final

from tests.proxy.faults import Faults

LINES: Final = b"+-:_,#("
BULKS: Final = b"$=!"
LISTS: Final = b"*~>"
MAPS: Final = b"%|"
PUSH: Final = b">"
OF_LIBRARY: Final = re.compile(rb"^pavane_[0-9a-f]{16}_")


def end_of(data: bytes, at: int) -> int | None:
    """Where the value that starts at `at` ends; `None`: it has not arrived whole."""
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, after = data[at : at + 1], line_end + 2
    if kind in LINES:
        return after
    count = int(data[at + 1 : line_end])
    if kind in BULKS:
        end = after + (count + 2 if count >= 0 else 0)
        return end if end <= len(data) else None
    if kind not in LISTS + MAPS:
        raise ValueError(f"no value of Redis starts with {kind!r}")
    place: int | None = after
    for _ in range(count * (2 if kind in MAPS else 1)):
        if place is None or (place := end_of(data, place)) is None:
            return None
    return place


class RespConnection:
    """One connection to Redis.

    Args:
        reset: ends it at once, both sides.
    """

    def __init__(self, faults: Faults, reset: Callable[[], None]) -> None:
        self._faults = faults
        self._reset = reset
        self._asked: deque[str] = deque()
        self._up = self._down = b""

    def up(self, data: bytes) -> bytes:
        """From the client: passed on as it is, and each command remembered for its reply."""
        self._up += data
        at = 0
        while (end := end_of_command(self._up, at)) is not None:
            self._asked.append(name_of(self._up[at:end]))
            at = end
        self._up = self._up[at:]
        return data

    def down(self, data: bytes) -> bytes:
        """From the server: whole replies are passed on, up to the first one that is to be lost."""
        self._down += data
        at = 0
        while (end := end_of(self._down, at)) is not None:
            if self._down[at : at + 1] != PUSH and self._faults.loses_reply_to(self._asked.popleft()):
                self._reset()
                return b""
            at = end
        whole, self._down = self._down[:at], self._down[at:]
        return whole


def end_of_command(data: bytes, at: int) -> int | None:
    """As `end_of`; a person at a terminal sends a plain line."""
    if data[at : at + 1] in (b"", b"*"):
        return end_of(data, at)
    line_end = data.find(b"\r\n", at)
    return None if line_end < 0 else line_end + 2


def name_of(command: bytes) -> str:
    """What a command (a list of bulk strings) does: its name, or of FCALL the name of the script, in lower case."""
    if command[:1] != b"*":
        return command.split(maxsplit=1)[0].decode().lower()
    name, second = (command.split(b"\r\n", 5) + [b""] * 5)[2:5:2]
    if name.upper() == b"FCALL":
        return OF_LIBRARY.sub(b"", second).decode().lower()
    return name.decode().lower()
