"""`pavane topology verify` and `prune`: is everything as the definitions say, and away with what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from pavane.cli.apps import programs_of
from pavane.cli.exits import NO
from pavane.cli.options import By, DryRun, Reason, Yes
from pavane.cli.output import Output, table
from pavane.cli.session import Connected, Session, session_of
from pavane.client.audit import audited
from pavane.client.leavings import Leaving, Leavings
from pavane.client.verification import NOT_SEEN, seen
from pavane.client.verification import verify as differences
from pavane.core.choreography import Choreography
from pavane.core.leftovers import topology_of
from pavane.core.topology import Topology
from pavane.ports.broker import TopologyChange
from pavane.settings import Settings

Apps = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="APP|FOLDER",
        help="module:app, several of them, or a folder whose apps are all taken; without it PAVANE_APP.",
        show_default=False,
    ),
]


def verify(context: typer.Context, apps: Apps = None) -> None:
    """Say whether broker and Redis have what these apps need, and nothing of theirs besides.

    Nothing is changed. Exit code 1 if something is missing, differs or is left over. What belongs to services
    of other apps is not judged.

    Example: pavane topology verify services/
    """
    session = session_of(context)
    settings = session.settings()
    topology = topology_for(apps, settings)

    async def work(connected: Connected) -> list[TopologyChange]:
        return await differences(connected.means, topology)

    changes = session.with_client(work)
    print_changes(session.out, changes, clean=not changes, empty="Everything is as it should be.")
    if settings.management_url is None and not session.out.json:
        session.out.note(NOT_SEEN)
    if changes:
        raise typer.Exit(NO)


def prune(
    context: typer.Context,
    apps: Apps = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Remove what earlier versions of these apps' services had on the broker and these definitions do not name.

    Queues of workers that are gone are deleted if they are empty and nobody consumes them; events that a worker
    does not subscribe to any more are unbound. What has to stay is listed with how to mend that: exit code 1.
    Other services are never touched.

    Example: pavane topology prune services/ --dry-run
    """
    session = session_of(context)
    settings = session.settings(by=by)
    topology = topology_for(apps, settings)
    if not dry_run:
        _confirm(session, topology, yes=yes)

    async def work(connected: Connected) -> list[Leaving]:
        present = await seen(settings)
        leavings = Leavings(connected.means, topology, present.queues if present else None)
        found = await leavings.found()
        if dry_run:
            return found
        going = [leaving.change.name for leaving in found if not leaving.obstructed]
        async with audited(connected.means, "topology prune", going, by=by, reason=reason):
            return await leavings.prune()

    found = session.with_client(work, by=by)
    is_clean = not found if dry_run else not any(leaving.obstructed for leaving in found)
    changes = [leaving.change for leaving in found]
    print_changes(session.out, changes, clean=is_clean, empty="Nothing is left over.")
    if not is_clean:
        raise typer.Exit(NO)


def _confirm(session: Session, topology: Topology, *, yes: bool) -> None:
    session.confirm(f"Remove what earlier versions of {', '.join(topology.services)} have left?", yes=yes)


def topology_for(apps: Sequence[str] | None, settings: Settings) -> Topology:
    """The topology of the apps that a command line names."""
    return topology_of(settings.namespace, Choreography(programs_of(apps or (), settings)))


def print_changes(out: Output, changes: Sequence[TopologyChange], *, clean: bool, empty: str) -> None:
    """The document, or the table, of every command that compares a topology."""
    if out.json:
        listed = [asdict(change) | {"remedy": change.remedy or None} for change in changes]
        out.document({"clean": clean, "changes": listed})
        return
    if not changes:
        out.show(empty)
        return
    rows = [
        (change.action, change.kind, change.name, change.argument or "", _difference(change), change.remedy)
        for change in changes
    ]
    out.show(table(("ACTION", "KIND", "NAME", "ARGUMENT", "DIFFERENCE", "REMEDY"), rows))


def _difference(change: TopologyChange) -> str:
    if change.current is None:
        return change.wanted or ""
    return change.current if change.wanted is None else f"{change.current}, wanted {change.wanted}"
