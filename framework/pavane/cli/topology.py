"""`pavane topology`: queues, exchanges and bindings, as the definitions want them."""

from __future__ import annotations

from typing import Annotated

import typer

from pavane.cli.exits import NO
from pavane.cli.loading import load_app
from pavane.cli.options import AppArgument, By, Reason, Yes
from pavane.cli.session import Connected, session_of
from pavane.cli.topology_export import export
from pavane.cli.topology_left import print_changes, prune, verify
from pavane.cli.topology_migrate import migrate
from pavane.client.audit import audited
from pavane.ports.broker import TopologyChange
from pavane.runtime.topology import apply as apply_topology

commands = typer.Typer(no_args_is_help=True, help="Compare, declare and tidy up queues and exchanges.")


@commands.command("plan")
def plan(context: typer.Context, app: AppArgument = None) -> None:
    """Say what `apply` would do; exit code 1 if that is anything.

    Example: pavane topology plan orders.app:app
    """
    session = session_of(context)
    settings = session.settings()
    topology = load_app(app, settings).catalog(settings).topology()

    async def work(connected: Connected) -> list[TopologyChange]:
        return await connected.means.broker.plan(topology)

    changes = session.with_client(work)
    print_changes(session.out, changes, clean=not changes, empty="Everything is as it should be.")
    if changes:
        raise typer.Exit(NO)


@commands.command("apply")
def apply(
    context: typer.Context,
    app: AppArgument = None,
    new_epoch: Annotated[
        bool, typer.Option("--new-epoch", help="Accept that Redis has lost what it had, and begin again.")
    ] = False,
    reason: Reason = "",
    by: By = None,
    yes: Yes = False,
) -> None:
    """Declare what is missing. What exists with other arguments is explained and left; exit code 1.

    Example: pavane topology apply orders.app:app --yes
    """
    session = session_of(context)
    settings = session.settings(by=by)
    topology = load_app(app, settings).catalog(settings).topology()
    if new_epoch:
        session.confirm("Give up all runs that Redis has lost?", yes=yes)

    async def work(connected: Connected) -> tuple[list[TopologyChange], bool]:
        broker = connected.means.broker
        planned = await broker.plan(topology)
        mismatches = [change for change in planned if change.action == "mismatch"]
        if mismatches:
            return mismatches, False
        names = [change.name for change in planned] + ["epoch"] * new_epoch
        async with audited(connected.means, "topology apply", names, by=by, reason=reason):
            done = await apply_topology(connected.means.store, broker, topology, accept_loss=new_epoch)
        return done, True

    changes, is_clean = session.with_client(work, by=by)
    print_changes(session.out, changes, clean=is_clean, empty="Nothing was missing.")
    if not is_clean:
        raise typer.Exit(NO)


commands.command("verify")(verify)
commands.command("prune")(prune)
commands.command("migrate")(migrate)
commands.command("export")(export)
