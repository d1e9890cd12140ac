"""`pavane workflows stats`: where the work of runs stands, and what took the time."""

from __future__ import annotations

from typing import Annotated

import typer

from pavane.cli.events import LimitOfRuns
from pavane.cli.options import Since, Until
from pavane.cli.output import Output, duration, moment, styled, table
from pavane.cli.run_options import OfWorkflow
from pavane.cli.session import Connected, Session, session_of
from pavane.client.critical_path import CriticalPath, critical_path
from pavane.client.run_handle import read_run
from pavane.client.workflow_stats import StepStats, workflow_stats
from pavane.errors import UsageError
from pavane.model.views import Page

commands = typer.Typer(no_args_is_help=True, help="Look at workflows.")


@commands.command("stats")
def stats(
    context: typer.Context,
    workflow: OfWorkflow = None,
    since: Since = None,
    until: Until = None,
    limit: LimitOfRuns = 1000,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="The critical path of this run instead.")
    ] = None,
) -> None:
    """Show per step what waits in its queue, runs, or is retried, and how long it took: half of them, and 95 of 100.

    With --run: the chain of steps that took until the run's end, what each waited for its turn and how long it took.

    Example: pavane workflows stats --workflow orders --since 2h
    """
    session = session_of(context)
    if run is not None:
        if workflow or since or until:
            raise UsageError(
                "--run is one run: it takes no filter.", remedy="Leave out the filter, or --run."
            )
        _show_path(session, run)
        return

    async def work(connected: Connected) -> list[StepStats]:
        return await workflow_stats(connected.means, workflow=workflow, since=since, until=until, limit=limit)

    _print_stats(session.out, session.with_client(work))


def _print_stats(out: Output, found: list[StepStats]) -> None:
    if out.json:
        out.document(Page(items=found))
        return
    titles = ("WORKFLOW", "STEP", "RUNS", "WAITING", "RUNNING", "RETRYING", "DEAD", "COMMITTED", "P50", "P95")
    rows = [
        (
            one.workflow or "",
            one.worker,
            str(one.runs),
            "" if one.waiting is None else str(one.waiting),
            str(one.running),
            str(one.retrying),
            str(one.dead),
            str(one.committed),
            duration(one.p50_s),
            duration(one.p95_s),
        )
        for one in found
    ]
    out.show(table(titles, rows))


def _show_path(session: Session, run: str) -> None:
    async def work(connected: Connected) -> CriticalPath:
        # The handle checks the name.
        return critical_path(await read_run(connected.means, connected.client.run(run).run))

    found = session.with_client(work)
    if session.out.json:
        session.out.document(found)
        return
    rows = [
        (
            one.worker,
            styled(one.status),
            one.event,
            moment(one.started_at),
            duration(one.waited_s),
            duration(one.duration_s),
        )
        for one in found.path
    ]
    session.out.show(table(("STEP", "STATUS", "ON", "BEGAN", "WAITED", "TOOK"), rows))
    session.out.show(
        f"{duration(found.total_s)} in all" if found.total_s is not None else "not at its end yet"
    )
