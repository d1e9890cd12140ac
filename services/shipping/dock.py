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

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.orders import Order
from services.shipping.database import database_url, open_database, recalls, shipments, shipped_lines

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

    engine: AsyncEngine
    latency: float = 0.0

    async def ship(self, key: str, order: Order) -> str | None:
        """Hand the order to a carrier; its tracking number, or `None` if no carrier takes it.

        Raises:
            Recalled: the order was recalled before.
        """
        async with self.engine.begin() as transaction:
            asked = select(shipments.c.tracking).filter_by(idempotency_key=key)
            tracking = await transaction.scalar(asked)
            if tracking is None:
                tracking = await self._ship(transaction, key, order)
        if self.latency:
            await asyncio.sleep(self.latency)
        return tracking or None

    async def recall(self, key: str, order_id: str) -> None:
        """Get the order's goods back, and hand nothing out for it from now on."""
        async with self.engine.begin() as transaction:
            if await transaction.scalar(select(recalls.c.order_id).filter_by(idempotency_key=key)) is None:
                await transaction.execute(insert(recalls).values(idempotency_key=key, order_id=order_id))
        if self.latency:
            await asyncio.sleep(self.latency)

    async def _ship(self, transaction: AsyncConnection, key: str, order: Order) -> str:
        if await transaction.scalar(select(recalls.c.order_id).filter_by(order_id=order.order_id)):
            raise Recalled(order.order_id)
        taken = order.freight <= HEAVIEST
        tracking = f"PV-{order.order_id}" if taken else ""
        await transaction.execute(
            insert(shipments).values(
                idempotency_key=key,
                order_id=order.order_id,
                outcome="created" if taken else "refused",
                tracking=tracking,
            )
        )
        if taken:
            pieces = Counter[str]()
            for line in order.lines:
                pieces[line.product_id] += line.quantity
            lines = [{"idempotency_key": key, "product_id": p, "quantity": q} for p, q in pieces.items()]
            await transaction.execute(insert(shipped_lines), lines)
        return tracking


@asynccontextmanager
async def open_dock() -> AsyncGenerator[Dock, None]:
    """The dock, as the environment says: `SHIPPING_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as engine:
        yield Dock(engine, float(os.environ.get("LATENCY") or 0))
