"""`pavane events unrouted`: what is sent and nobody hears."""

from __future__ import annotations

from typing import Annotated

import typer

from pavane.cli.options import Since, Until
from pavane.cli.output import moment, table
from pavane.cli.session import Connected, session_of
from pavane.client.unrouted import UnroutedEvent, unrouted_events
from pavane.model.views import Page

commands = typer.Typer(no_args_is_help=True, help="Look at events.")

LimitOfRuns = Annotated[
    int, typer.Option("--limit", min=1, max=100_000, help="Runs to look at, latest first.")
]


@commands.command("unrouted")
def unrouted(
    context: typer.Context, since: Since = None, until: Until = None, limit: LimitOfRuns = 1000
) -> None:
    """List events of runs that no queue took, by name: how many, when last, and a run that sent one.

    An ending event may well have no reader. What was emitted outside any run is recorded nowhere, and not seen.

    Example: pavane events unrouted --since 2h
    """
    session = session_of(context)

    async def work(connected: Connected) -> list[UnroutedEvent]:
        return await unrouted_events(connected.means, since=since, until=until, limit=limit)

    found = session.with_client(work)
    if session.out.json:
        session.out.document(Page(items=found))
    elif found:
        titles = ("EVENT", "COUNT", "LAST", "EXAMPLE", "WHY")
        rows = [(one.event, str(one.count), moment(one.last_at), one.example_run, _why(one)) for one in found]
        session.out.show(table(titles, rows))
    else:
        session.out.show(f"Every event of the latest {limit} runs was taken.")


def _why(found: UnroutedEvent) -> str:
    if found.reason == "no_binding":
        return "a worker is registered, but no queue is bound: run `pavane topology apply`"
    said = "nobody was registered for it"
    if found.registered:
        said += "; somebody is now"
    if found.endings:
        said += f"; {found.endings} ended their run"
    return said
