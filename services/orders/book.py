"""The order book: what the orders service knows of each order. Every method may be repeated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Update, insert, select, update

from contracts.orders import Order, OrderLine
from services.orders.database import Database, database_url, open_database, orders

CENT = Decimal("0.01")

Rejected: TypeAlias = Literal["discontinued", "out_of_stock", "payment_declined", "shipment_refused"]


def value_of(lines: Sequence[OrderLine]) -> Decimal:
    """Dollars that the lines are worth, each one rounded half up to cents."""
    amounts = (line.unit_price * line.quantity * (1 - line.discount) for line in lines)
    return sum((amount.quantize(CENT, ROUND_HALF_UP) for amount in amounts), Decimal("0.00"))


@dataclass(frozen=True)
class OrderBook:
    """The orders in their database.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    database: Database
    latency: float = 0.0

    async def accept(self, order: Order) -> None:
        """Write the order down as placed, unless it is there."""
        await self._work(partial(accept, order=order), lock=order.order_id)

    async def confirm(self, order_id: str, tracking: str) -> None:
        """The order is on its way."""
        placed = update(orders).filter_by(order_id=order_id, status="placed")
        await self._change(placed.values(status="confirmed", tracking=tracking))

    async def reject(self, order_id: str, status: Rejected) -> None:
        """The order cannot be served; `status` says why."""
        await self._change(update(orders).filter_by(order_id=order_id).values(status=status))

    async def abandon(self, order_id: str) -> None:
        """The order's run has ended without an answer of any service, perhaps after it was confirmed here."""
        unanswered = orders.c.status.in_(("placed", "confirmed"))
        changed = update(orders).filter_by(order_id=order_id).where(unanswered)
        await self._change(changed.values(status="abandoned"))

    async def note_told(self, order_id: str) -> None:
        """The customer knows what became of the order."""
        await self._change(update(orders).filter_by(order_id=order_id).values(customer_told=True))

    async def _change(self, statement: Update) -> None:
        await self._work(lambda transaction: transaction.execute(statement))

    async def _work(self, work: Callable[[Connection], object], lock: str = "") -> None:
        await self.database.transact(work, lock=lock)
        if self.latency:
            await asyncio.sleep(self.latency)


def accept(transaction: Connection, order: Order) -> None:
    if transaction.scalar(select(orders.c.status).filter_by(order_id=order.order_id)) is not None:
        return
    transaction.execute(
        insert(orders).values(
            order_id=order.order_id,
            customer_id=order.customer_id,
            value=order.value,
            freight=order.freight,
            status="placed",
            customer_told=False,
        )
    )


@asynccontextmanager
async def open_book() -> AsyncGenerator[OrderBook, None]:
    """The order book, as the environment says: `ORDERS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield OrderBook(database, float(os.environ.get("LATENCY") or 0))
