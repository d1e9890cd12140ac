"""Plays a scene by a fixed seed and clock, and prints the run's history as the command line does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from sqlalchemy import Connection

import services.trips.database as trips
from pavane import App
from pavane.cli.history_view import Background, history_table
from pavane.testing import Harness
from services.demo.databases import SERVICES
from services.demo.stage import app as orders_app
from services.inventory.database import database_url as inventory_url
from services.inventory.stock import Stock
from services.inventory.stocktaking import take_stock
from services.notifications.post import PostOffice
from services.orders.book import OrderBook
from services.payments.till import Till
from services.shipping.dock import Dock
from services.trips import app as trips_app
from services.trips.catalogue import fill
from services.trips.desk import Desk
from tests.services.agency import catalogue
from tests.services.histories.scenes import Scene
from tests.services.shop import SHELVES

T = TypeVar("T")

FOLDER = Path(__file__).parent
SEED = 7
MODULES = SERVICES | {"trips": trips}
RESOURCES: dict[str, Callable[[Any], object]] = {
    "orders": OrderBook,
    "inventory": Stock,
    "payments": Till,
    "shipping": Dock,
    "notifications": PostOffice,
    "trips": Desk,
}
APP = App(
    services=[*orders_app.services, *trips_app.services],
    workflows=[*orders_app.workflows, *trips_app.workflows],
)


class Inline:
    """A service's database, worked on in the event loop itself: no thread takes part in the order of events."""

    def __init__(self, database: Any) -> None:
        self._database = database

    async def transact(self, work: Callable[[Connection], T], *, lock: str = "") -> T:
        return self._database._transact(work, lock)


@asynccontextmanager
async def opened() -> AsyncGenerator[dict[str, object], None]:
    """The resources of all services, their databases where `DATA` says."""
    await take_stock(inventory_url(), SHELVES)
    await fill(trips.database_url(), catalogue())
    async with AsyncExitStack() as stack:
        yield {
            name: RESOURCES[name](
                Inline(await stack.enter_async_context(service.open_database(service.database_url())))
            )
            for name, service in MODULES.items()
        }


async def history_of(scene: Scene) -> str:
    """What the scene is about, and what `pavane runs history` prints of its run."""
    async with opened() as resources, Harness(APP, resources=resources, seed=SEED) as harness:
        run = await scene(harness)
        lines, steps = await run.history().all(), await run.steps().all()
    out = StringIO()
    console = Console(file=out, width=200, markup=False, highlight=False, emoji=False, soft_wrap=True)
    console.print(f"{scene.__doc__}\n\n$ pavane runs history {run.run}")
    console.print(history_table(lines, Background(steps)))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def file_of(scene: Scene) -> Path:
    return FOLDER / f"{scene.__name__}.txt"
