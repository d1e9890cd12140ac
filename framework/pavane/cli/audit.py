"""`pavane audit`: who changed what, when and why."""

from __future__ import annotations

import typer
from rich.text import Text

from pavane.cli.options import Cursor, Limit, Since
from pavane.cli.output import Output, clean, moment, table
from pavane.cli.runs import tell_cursor
from pavane.cli.session import Connected, session_of
from pavane.client.audit import entries
from pavane.model.views import AuditEntry, Page

SHOWN = 3
"""Subjects of a line that a table has room for; `--json` has all of them."""


def audit(context: typer.Context, since: Since = None, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List changes that people made to dead letters, runs and the topology, the latest first.

    Each has a line `begun` with everything that it was going to touch, and lines that say how it ended: one that
    has begun and not ended was killed on the way.

    Example: pavane audit --since 8h
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        _print(session.out, await entries(connected.means, since=since).page(limit, cursor))

    session.with_client(work)


def _print(out: Output, page: Page[AuditEntry]) -> None:
    if out.json:
        out.document(page)
        return
    rows = [
        (moment(one.at), one.by, one.action, one.outcome, _few(one.subjects), one.reason or "")
        for one in page.items
    ]
    out.show(
        table(("AT", "BY", "ACTION", "OUTCOME", "SUBJECTS", "REASON"), rows) if rows else Text("Nothing.")
    )
    tell_cursor(out, page.cursor)


def _few(subjects: list[str]) -> str:
    more = len(subjects) - SHOWN
    return clean(" ".join(subjects[:SHOWN])) + (f" and {more} more" if more > 0 else "")
