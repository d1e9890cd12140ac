"""The order book: what the orders service knows of each order. Every method may be repeated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts.orders import Order, OrderLine
from services.orders.database import database_url, open_database, orders

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

    engine: AsyncEngine
    latency: float = 0.0

    async def accept(self, order: Order) -> None:
        """Write the order down as placed, unless it is there."""
        async with self.engine.begin() as transaction:
            if await transaction.scalar(select(orders.c.status).filter_by(order_id=order.order_id)) is None:
                await transaction.execute(
                    insert(orders).values(
                        order_id=order.order_id,
                        customer_id=order.customer_id,
                        value=order.value,
                        freight=order.freight,
                        status="placed",
                    )
                )
        await self._work()

    async def confirm(self, order_id: str, tracking: str) -> None:
        """The order is on its way."""
        async with self.engine.begin() as transaction:
            await transaction.execute(
                update(orders)
                .filter_by(order_id=order_id, status="placed")
                .values(status="confirmed", tracking=tracking)
            )
        await self._work()

    async def reject(self, order_id: str, status: Rejected) -> None:
        """The order cannot be served; `status` says why."""
        async with self.engine.begin() as transaction:
            await transaction.execute(update(orders).filter_by(order_id=order_id).values(status=status))
        await self._work()

    async def abandon(self, order_id: str) -> None:
        """The order's run has ended without an answer of any service."""
        open_or_confirmed = orders.c.status.in_(("placed", "confirmed"))
        async with self.engine.begin() as transaction:
            await transaction.execute(
                update(orders)
                .filter_by(order_id=order_id)
                .where(open_or_confirmed)
                .values(status="abandoned")
            )
        await self._work()

    async def note_told(self, order_id: str) -> None:
        """The customer knows what became of the order."""
        async with self.engine.begin() as transaction:
            await transaction.execute(update(orders).filter_by(order_id=order_id).values(customer_told=True))
        await self._work()

    async def _work(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)


@asynccontextmanager
async def open_book() -> AsyncGenerator[OrderBook, None]:
    """The order book, as the environment says: `ORDERS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as engine:
        yield OrderBook(engine, float(os.environ.get("LATENCY") or 0))
