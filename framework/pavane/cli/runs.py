"""`pavane runs`: what runs there are, and what became of one. What can be done to them is in `steering`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from pavane.cli.exits import NO
from pavane.cli.history_view import Background, history_line, history_table, mark_in_words
from pavane.cli.options import Cursor, Limit, Since, TimeoutOption, Until
from pavane.cli.output import Output, duration, moment, styled, table
from pavane.cli.run_options import OfStatus, OfWorkflow, RunArgument, WaitingFor, split_statuses
from pavane.cli.run_view import run_line, run_tree
from pavane.cli.session import Connected, session_of
from pavane.client.run_document import run_document
from pavane.client.run_handle import read_run
from pavane.model.later import in_calls
from pavane.model.views import HistoryEntry, Page, RunStatus

commands = typer.Typer(no_args_is_help=True, help="Look at runs, and steer them.")

WATCH_EVERY = 2.0
"""Seconds between two looks of `runs ls --watch`."""


@commands.command("ls")
def ls(
    context: typer.Context,
    status: OfStatus = None,
    workflow: OfWorkflow = None,
    state: Annotated[str | None, typer.Option("--state", hidden=True)] = None,
    waiting_for: WaitingFor = None,
    since: Since = None,
    until: Until = None,
    where: Annotated[list[str] | None, typer.Option("--where", hidden=True)] = None,
    order_by: Annotated[
        str, typer.Option("--order-by", help="-started_at (latest first) or started_at.")
    ] = "-started_at",
    limit: Limit = 50,
    cursor: Cursor = None,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
) -> None:
    """List runs, latest first, a page at a time.

    Example: pavane runs ls --status stalled,paused --workflow orders --since 2h
    """
    if where:
        raise in_calls("--where")
    session = session_of(context)

    async def work(connected: Connected) -> None:
        listing = connected.client.runs(
            status=split_statuses(status),
            workflow=workflow,
            state=state,
            waiting_for=waiting_for,
            since=since,
            until=until,
            order_by=order_by,
        )
        _print_runs(session.out, await listing.page(limit, cursor))
        while watch:
            await asyncio.sleep(WATCH_EVERY)
            session.out.clear()
            _print_runs(session.out, await listing.page(limit, cursor))

    session.with_client(work)


def _print_runs(out: Output, page: Page[RunStatus]) -> None:
    if out.json:
        out.document(page)
        return
    rows = [
        (
            styled(run.status),
            run.run,
            moment(run.started_at),
            duration((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "",
            _why(run),
        )
        for run in page.items
    ]
    out.show(table(("STATUS", "RUN", "STARTED", "TOOK", "REASON"), rows))
    tell_cursor(out, page.cursor)


def _why(run: RunStatus) -> str:
    """Why it stands so: how it ends, what it is stalled by, or else what it waits for."""
    stands = [run.reason or "", *map(mark_in_words, run.stalled)]
    waits = [f"{one.kind} {one.worker or one.ref}" for one in run.waiting_for]
    return ", ".join(filter(None, stands)) or ", ".join(dict.fromkeys(waits))


def tell_cursor(out: Output, cursor: str | None) -> None:
    if cursor:
        out.note(f"There are more: --cursor {cursor}")


@commands.command("show")
def show(context: typer.Context, run: RunArgument) -> None:
    """Show a run as a tree: each step under the one whose event it handles, with attempts, dead letters and undo.

    Example: pavane runs show orders:7
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        # The handle checks the name.
        record = await read_run(connected.means, connected.client.run(run).run)
        if session.out.json:
            session.out.document(run_document(record))
        else:
            session.out.show(run_tree(record, datetime.now(UTC), width=session.out.width))

    session.with_client(work)


@commands.command("history")
def history(context: typer.Context, run: RunArgument, limit: Limit = 100, cursor: Cursor = None) -> None:
    """List what happened in a run, oldest first.

    Example: pavane runs history orders:7 --limit 20
    """
    session = session_of(context)

    async def work(connected: Connected) -> None:
        handle = connected.client.run(run)
        page = await handle.history().page(limit, cursor)
        if session.out.json:
            session.out.document(page)
            return
        session.out.show(history_table(page.items, Background(await handle.steps().all())))
        tell_cursor(session.out, page.cursor)

    session.with_client(work)


@commands.command("watch")
def watch(context: typer.Context, run: RunArgument, timeout: TimeoutOption = None) -> None:
    """Follow a run until it has ended; the exit code is 1 unless it completed.

    Example: pavane runs watch orders:7 --timeout 60
    """
    session = session_of(context)

    async def work(connected: Connected) -> RunStatus:
        handle, background = connected.client.run(run), Background()
        try:
            async with asyncio.timeout(timeout):
                async for line in handle.watch():
                    _print_line(session.out, line, background)
        except TimeoutError:
            raise TimeoutError(f"{handle.run} has not ended within {timeout:g} s.") from None
        return await handle.status()

    status = session.with_client(work)
    if session.out.json:
        session.out.document({"run": status})
    else:
        session.out.show(run_line(status))
    if status.status != "completed":
        raise typer.Exit(NO)


def _print_line(out: Output, line: HistoryEntry, background: Background) -> None:
    if out.json:
        out.document(line)
    else:
        out.show(history_line(line, background))
