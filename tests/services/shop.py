"""What the tests of the services share: the whole app, shelves, orders, and a look into the books."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from contracts.order_fulfilment import order_fulfilment
from contracts.orders import Order, OrderConfirmed, OrderLine, OrderPlaced
from pavane import RunHandle, RunStatus
from pavane.testing import Harness
from services.demo.audit import audit
from services.demo.books import Books, read_books
from services.demo.stage import app
from services.inventory.database import database_url
from services.inventory.stocktaking import Product, take_stock
from services.orders.book import value_of
from tests.servers import PostgresServer

NORTHWIND = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "northwind"
"""Real orders, where this checkout has them beside it; the tests that want them generate some where it has not."""

SERVICES = ("orders", "inventory", "payments", "shipping", "notifications", "trips")

SHELVES = (
    Product("lamp", "Copper lamp", 100),
    Product("bowl", "Oak bowl", 10),
    Product("ivory", "Ivory lamp", 50, discontinued=True),
)


def order(
    order_id: str = "1", *, freight: str = "10", price: str = "20", discount: str = "0", **pieces: int
) -> OrderPlaced:
    """An order of so many pieces of each product, of two lamps if nothing is said."""
    lines = tuple(
        OrderLine(product_id=name, unit_price=Decimal(price), quantity=many, discount=Decimal(discount))
        for name, many in (pieces or {"lamp": 2}).items()
    )
    return OrderPlaced(order_id=order_id, customer_id="ANATR", lines=lines, freight=Decimal(freight))


def accepted(placed: OrderPlaced) -> Order:
    """The order as the orders service passes it on."""
    return Order(
        order_id=placed.order_id,
        customer_id=placed.customer_id,
        lines=placed.lines,
        freight=placed.freight,
        value=value_of(placed.lines),
    )


ENDINGS: Mapping[str, tuple[OrderPlaced, str]] = {
    "confirmed": (order("1", lamp=2, bowl=1), "completed"),
    "discontinued": (order("2", lamp=2, ivory=1), "failed"),
    "out_of_stock": (order("3", lamp=2, bowl=11), "failed"),
    "payment_declined": (order("4", lamp=2, price="1000.01"), "compensated"),
    "shipment_refused": (order("5", lamp=2, freight="50.01"), "compensated"),
}
"""One order for each ending, and the status that its run ends in."""


class Shop(Harness):
    """The harness over all five services."""

    async def start_only(self, placed: OrderPlaced) -> RunHandle[OrderConfirmed]:
        """Place an order, and wait for nothing."""
        return await self.start(order_fulfilment, placed)

    async def place(self, placed: OrderPlaced) -> RunHandle[OrderConfirmed]:
        """Place an order, and let everything come to rest that needs no time to pass."""
        handle = await self.start_only(placed)
        await self.until_idle()
        return handle

    async def end(self, handle: RunHandle[OrderConfirmed]) -> RunStatus:
        """Wait until the run has ended, and for what comes after its end."""
        await handle.wait()
        await self.advance(3600)
        return await handle.status()

    async def violations(self, books: Books) -> list[str]:
        """What the demo's audit says of the books."""
        runs = {run.run_id: run async for run in self.client.runs()}
        return audit(books, runs, await self.client.queues(), orders=len(runs))


def databases_on(server: PostgresServer) -> dict[str, str]:
    """A new database for each service: the variables that say so to it."""
    return {f"{name.upper()}_DATABASE_URL": server.new_database() for name in SERVICES}


@asynccontextmanager
async def open_shop(*shelves: Product, seed: int | None = None) -> AsyncGenerator[Shop, None]:
    """A shop with these products on its shelves; its databases are where `DATA` says."""
    await take_stock(database_url(), shelves or SHELVES)
    async with Shop(app, seed=seed) as shop:
        yield shop


async def books_of(shop: Shop) -> Books:
    """The services' books, which have to add up."""
    books = await read_books()
    assert not await shop.violations(books)
    return books
