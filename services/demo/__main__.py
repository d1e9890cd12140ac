"""`make demo`: orders run through five services. `services.demo` says which file does what."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys

from rich.console import Console
from rich.tree import Tree

from pavane import PavaneError, Settings
from services.demo.audit import audit
from services.demo.books import Books, read_books
from services.demo.databases import BadDatabase, begin_empty, data_folder
from services.demo.document import Outcome
from services.demo.drive import AlreadyPlaced, Drive
from services.demo.generated import generate
from services.demo.northwind import BadFile, read
from services.demo.options import BadOptions, Options
from services.demo.progress import Progress
from services.demo.servers import ServiceFailed
from services.demo.stage import Stage, app, running
from services.demo.summary import print_summary
from services.demo.tree import tree_of
from services.demo.wares import Wares
from services.inventory.database import database_url
from services.inventory.stocktaking import take_stock

BAD_USE, INTERRUPTED = 2, 130
WIDTH_OF_A_FILE = 110
"""Columns where the output goes to no terminal."""


def main() -> int:
    """The exit code: 0 if every run has ended and there are no violations, 1 if not, 2 if it could not begin."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
    try:
        options = Options.read()
        wares = read(options.orders) if options.orders else generate(options)
        with data_folder(options):
            outcome = asyncio.run(demo(console, options, wares))
    except (BadOptions, BadFile, BadDatabase, AlreadyPlaced, ServiceFailed, PavaneError) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    if options.json:
        print(json.dumps(outcome.document()), flush=True)
    return 1 if outcome.violations else 0


async def demo(console: Console, options: Options, wares: Wares) -> Outcome:
    """One round: stock on the shelves, services running, all orders through, books read."""
    _stop_in_order_when_asked()
    await begin_empty(clear=options.empty)
    await take_stock(database_url(), wares.products)
    settings = Settings(namespace=os.environ.get("PAVANE_NAMESPACE") or f"demo_{secrets.token_hex(4)}")
    console.print(_opening(options, wares, settings))
    async with running(options, settings) as stage:
        drive = Drive(stage.client, wares.orders, options)
        with Progress(console, drive) as progress:
            await drive.run(progress.show)
            await drive.settle(progress.show)
        await stage.stop_workers()
        books = await read_books()
        queues = await stage.client.queues()
        violations = audit(books, drive.runs, queues, orders=drive.total)
        outcome = Outcome(options, drive, books, violations)
        print_summary(console, outcome, await draw_trees(stage, drive, books))
    return outcome


async def draw_trees(stage: Stage, drive: Drive, books: Books) -> list[Tree]:
    """The first run of each ending."""
    examples = {row.status: order_id for order_id, row in reversed(books.orders.items())}
    trees: list[Tree] = []
    for status, order_id in sorted(examples.items()):
        if order_id in drive.handles:
            trees.append(tree_of(drive.runs[order_id], await drive.handles[order_id].steps().all(), status))
    return trees


def _opening(options: Options, wares: Wares, settings: Settings) -> str:
    where = f"on servers, namespace {settings.namespace}" if options.on_servers else "embedded"
    source = f"from {options.orders}" if options.orders else f"generated with SEED={options.seed}"
    return f"{len(wares.orders)} orders {source}, {len(app.services)} services, {where}."


def _stop_in_order_when_asked() -> None:
    """SIGTERM ends the round as Ctrl-C does, so that no service's process stays behind."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


if __name__ == "__main__":
    sys.exit(main())
