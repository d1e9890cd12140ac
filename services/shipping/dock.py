"""The dock: what is handed to a carrier, and recalled. Every method may be repeated under the same key.

What has been done is written down under the idempotency key in the transaction that does it; nothing else
guards against doing it twice, so that goods that left twice under two keys show as stock that does not add up.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection, insert, select

from contracts.orders import Order
from services.shipping.database import (
    Database,
    database_url,
    open_database,
    recalls,
    shipments,
    shipped_lines,
)

HEAVIEST = Decimal("50.00")
"""Dollars of freight up to which a carrier takes an order."""


class Recalled(Exception):
    """The order was recalled already: this attempt comes from a worker that was thought dead."""


@dataclass(frozen=True)
class Dock:
    """Shipments in their database.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    database: Database
    latency: float = 0.0

    async def ship(self, key: str, order: Order) -> str | None:
        """Hand the order to a carrier; its tracking number, or `None` if no carrier takes it.

        Raises:
            Recalled: the order was recalled before.
        """
        tracking = await self.database.transact(partial(ship, key=key, order=order), lock=order.order_id)
        await self._take_time()
        return tracking or None

    async def recall(self, key: str, order_id: str) -> None:
        """Get the order's goods back, and hand nothing out for it from now on."""
        await self.database.transact(partial(recall, key=key, order_id=order_id), lock=order_id)
        await self._take_time()

    async def _take_time(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)


def ship(transaction: Connection, key: str, order: Order) -> str:
    """See `Dock.ship`; in one transaction. An empty tracking number: no carrier takes it."""
    tracking: str | None = transaction.scalar(select(shipments.c.tracking).filter_by(idempotency_key=key))
    if tracking is not None:
        return tracking
    if transaction.scalar(select(recalls.c.order_id).filter_by(order_id=order.order_id)):
        raise Recalled(order.order_id)
    is_taken = order.freight <= HEAVIEST
    row = {
        "idempotency_key": key,
        "order_id": order.order_id,
        "outcome": "created" if is_taken else "refused",
        "tracking": f"PV-{order.order_id}" if is_taken else "",
    }
    transaction.execute(insert(shipments).values(row))
    if is_taken:
        write_lines(transaction, key, order)
    return row["tracking"]


def write_lines(transaction: Connection, key: str, order: Order) -> None:
    pieces = Counter[str]()
    for line in order.lines:
        pieces[line.product_id] += line.quantity
    for product_id, quantity in pieces.items():
        row = {"idempotency_key": key, "product_id": product_id, "quantity": quantity}
        transaction.execute(insert(shipped_lines).values(row))


def recall(transaction: Connection, key: str, order_id: str) -> None:
    """See `Dock.recall`; in one transaction."""
    if transaction.scalar(select(recalls.c.order_id).filter_by(idempotency_key=key)) is None:
        transaction.execute(insert(recalls).values(idempotency_key=key, order_id=order_id))


@asynccontextmanager
async def open_dock() -> AsyncGenerator[Dock, None]:
    """The dock, as the environment says: `SHIPPING_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield Dock(database, float(os.environ.get("LATENCY") or 0))
