"""What goes to the terminal: JSON documents for programs, tables and text for people.

Data comes from peers and may be hostile. In JSON every character outside printable ASCII is escaped; for
people control characters, and those that turn the direction of writing, are shown as escapes, and nothing in
data is read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

WIDTH_OF_A_FILE = 200
"""Columns, where the output is no terminal."""

STYLES = {
    "completed": "green",
    "committed": "green",
    "ok": "green",
    "running": "cyan",
    "waiting": "cyan",
    "retrying": "yellow",
    "compensating": "yellow",
    "compensated": "yellow",
    "undoing": "yellow",
    "undone": "yellow",
    "warning": "yellow",
    "refused": "dim",
    "cancelled": "dim",
    "skipped": "dim",
    "paused": "bold yellow",
    "stalled": "bold red",
    "failed": "red",
    "dead": "red",
    "undo_stuck": "red",
    "error": "red",
}


class Printable(Protocol):
    """Something rich can print."""

    def __rich_console__(self, console: Any, options: Any) -> Any: ...


def clean(value: object, *, lines: bool = False) -> str:
    """The value as text without anything that a terminal would obey; `lines` keeps line breaks and tabs."""
    text = str(value)
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(char if char.isprintable() or char in kept else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def styled(status: str) -> Text:
    """A status in its colour."""
    return Text(clean(status), style=STYLES.get(status, ""))


def moment(at: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def duration(seconds: float | None) -> str:
    """A duration for people."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def plain(document: object) -> Any:
    """A document as JSON knows it: models become objects, times ISO 8601."""
    return to_jsonable_python(document)


def to_json(document: object) -> str:
    """One line of JSON in printable ASCII."""
    return json.dumps(plain(document)).replace("\x7f", "\\u007f")


class Output:
    """Writes what a command has to say.

    Args:
        json: for programs: one document on stdout (streams: lines), errors on stderr.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json

    @property
    def width(self) -> int:
        """Columns that the answer has."""
        return _console(sys.stdout).width

    def document(self, document: object) -> None:
        """The command's answer, for programs."""
        print(to_json(document), flush=True)

    def file(self, document: object) -> None:
        """The command's answer, where it is a file to keep: JSON for everybody, indented for people."""
        if self.json:
            self.document(document)
        else:
            print(json.dumps(plain(document), indent=2).replace("\x7f", "\\u007f"), flush=True)

    def show(self, *parts: str | Text | Printable) -> None:
        """The command's answer, for people."""
        console = _console(sys.stdout)
        for part in parts:
            # Lines of a tree are wrapped in a file too: without that rich cuts them off.
            console.print(part, soft_wrap=False if isinstance(part, Tree) else None)

    def clear(self) -> None:
        """Wipe the screen, if there is one."""
        if not self.json:
            _console(sys.stdout).clear()

    def note(self, text: str) -> None:
        """Something beside the answer, for people: on stderr."""
        _console(sys.stderr).print(clean(text, lines=True))

    def error(self, code: str, message: str, remedy: str) -> None:
        """Why the command could not do it."""
        if self.json:
            print(
                to_json({"error": {"code": code, "message": message, "remedy": remedy}}),
                file=sys.stderr,
                flush=True,
            )
            return
        console = _console(sys.stderr)
        console.print(Text.assemble(("Error: ", "bold red"), clean(message, lines=True)))
        if remedy and remedy not in message:
            console.print(Text(clean(remedy, lines=True)))


def table(titles: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table; cells are cleaned here."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        made.add_column(title, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row))
    return made


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough is no error: the program ends as one does."""
        raise BrokenPipeError


def _console(file: Any) -> Console:
    return _Terminal(
        file=file,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=not file.isatty(),
        width=None if file.isatty() else WIDTH_OF_A_FILE,
    )
