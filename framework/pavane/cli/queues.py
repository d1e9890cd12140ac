"""`pavane queues`: how full the queues are, and whether somebody takes from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from pavane.cli.output import Output, table
from pavane.cli.runs import WATCH_EVERY
from pavane.cli.session import Connected, session_of
from pavane.model.views import Page, QueueInfo
from pavane.settings import Settings


def queues(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
) -> None:
    """Show how full the queues of all registered workers are, and how many consumers each has.

    A worker has a queue for jobs and one for undos that are due, its service an intake for what RabbitMQ gave up.

    Example: pavane queues --watch
    """
    session = session_of(context)
    settings = session.settings()

    async def work(connected: Connected) -> None:
        _print(session.out, await connected.client.queues(), settings)
        while watch:
            await asyncio.sleep(WATCH_EVERY)
            figures = await connected.client.queues()
            session.out.clear()
            _print(session.out, figures, settings)

    session.with_client(work)


def _print(out: Output, figures: Sequence[QueueInfo], settings: Settings) -> None:
    if out.json:
        out.document(Page(items=list(figures)))
        return
    rows = [
        (
            info.worker,
            info.queue,
            _number(info.ready),
            _number(info.unacked),
            _number(info.consumers, alarming=info.consumers == 0 and bool(info.ready)),
            _number(info.dead_letters, alarming=bool(info.dead_letters)),
            _rate(info.in_per_s),
            _rate(info.out_per_s),
        )
        for info in figures
    ]
    out.show(
        table(("WORKER", "QUEUE", "READY", "UNACKED", "CONSUMERS", "DEAD LETTERS", "IN/S", "OUT/S"), rows)
    )
    if settings.management_url is None:
        out.note("UNACKED, IN/S and OUT/S are not seen: set PAVANE_MANAGEMENT_URL")


def _number(count: int | None, *, alarming: bool = False) -> Text:
    return Text("" if count is None else str(count), style="bold red" if alarming else "")


def _rate(per_second: float | None) -> str:
    return "" if per_second is None else f"{per_second:.1f}"
