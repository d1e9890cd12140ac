"""`pavane dlq reindex`: the index of dead letters brought in line with their queues."""

from __future__ import annotations

import typer

from pavane.cli.exits import NO
from pavane.cli.options import By, Reason, Yes
from pavane.cli.output import clean
from pavane.cli.session import Connected, session_of
from pavane.client.refusals import in_words
from pavane.client.reindex import Reindexed
from pavane.client.reindex import reindex as bring_in_line


def reindex(context: typer.Context, reason: Reason = "", by: By = None, yes: Yes = False) -> None:
    """Rebuild the index of dead letters from their queues, after Redis was lost or restored from an older backup.

    Letters that the index has not are listed again, and their runs marked. Entries whose letter is in no queue are
    removed; for these every queue concerned is looked through a second time a minute later. Exit code 1 if something
    had to be left alone.

    Example: pavane dlq reindex --reason "Redis was restored from last night" --yes
    """
    session = session_of(context)

    async def work(connected: Connected) -> Reindexed:
        return await bring_in_line(connected.means, reason=reason)

    session.confirm("Go through all dead-letter queues and bring the index in line?", yes=yes)
    found = session.with_client(work, by=by)
    if session.out.json:
        session.out.document({"indexed": len(found.indexed), "removed": len(found.removed)})
    else:
        session.out.show(f"{len(found.indexed)} indexed, {len(found.removed)} removed")
        for subject, why in found.left.items():
            session.out.show(f"  {clean(subject)}: {clean(in_words(why))}")
    if found.left:
        raise typer.Exit(NO)
