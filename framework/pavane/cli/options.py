"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from pavane.errors import UsageError

_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_time(text: str) -> datetime:
    """ISO 8601 (UTC where it names no zone), or how long ago: `90s`, `30m`, `2h`, `7d`."""
    return _read_time(text, -1, "how long ago")


def read_ahead(text: str) -> datetime:
    """ISO 8601 (UTC where it names no zone), or how long from now: `90s`, `30m`, `2h`, `7d`."""
    return _read_time(text, +1, "how long from now")


def _read_time(text: str, direction: int, how_long: str) -> datetime:
    span = _SPAN.fullmatch(text.strip())
    try:
        if span:
            return datetime.now(UTC) + direction * timedelta(**{_UNITS[span[2]]: float(span[1])})
        at = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!a:.80} is no time: ISO 8601, or {how_long}, such as 30m, 2h or 7d."
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def read_payload(given: str) -> bytes:
    """JSON as given, from a file (`@file`), or from standard input (`-`).

    Raises:
        UsageError: the file cannot be read.
    """
    if given == "-":
        return sys.stdin.buffer.read()
    if not given.startswith("@"):
        return given.encode(errors="surrogateescape")
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise UsageError(f"{given[1:]!a:.200} cannot be read: {error.strerror}.") from None


AppArgument = Annotated[
    str | None, typer.Argument(metavar="APP", help="module:app; without it PAVANE_APP.", show_default=False)
]
AppOption = Annotated[str | None, typer.Option("--app", help="module:app; without it PAVANE_APP.")]
By = Annotated[str | None, typer.Option("--by", help="Who acts, for the history; default PAVANE_ACTOR.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Change nothing; say what would happen.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="Items of a page.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Of the page before.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", min=0, help="Seconds; when they are over: exit code 124.")
]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=read_time, metavar="TIME", help="ISO 8601, or ago: 30m, 2h, 7d."),
]
Until = Annotated[
    datetime | None,
    typer.Option("--until", parser=read_time, metavar="TIME", help="ISO 8601, or ago; excluded."),
]
