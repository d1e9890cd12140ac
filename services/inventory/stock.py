"""Stock: reserved for orders and given back. Every method may be repeated under the same key.

What has been done is written down under the idempotency key in the transaction that does it; nothing else
guards against doing it twice, so that a step that ran twice under two keys shows as stock that does not add up.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.inventory import WhyUnavailable
from contracts.orders import Order
from services.inventory.database import (
    database_url,
    open_database,
    products,
    releases,
    reservations,
    reserved_lines,
)


class GivenBack(Exception):
    """The order's stock was given back already: this attempt comes from a worker that was thought dead."""


@dataclass(frozen=True)
class Unavailable:
    """Why nothing was reserved, and the products it was for."""

    reason: WhyUnavailable
    product_ids: tuple[str, ...]


@dataclass(frozen=True)
class Stock:
    """The stock in its database.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    engine: AsyncEngine
    latency: float = 0.0

    async def reserve(self, key: str, order: Order) -> Unavailable | None:
        """Keep all lines of the order for it, or none; `None` if they are kept.

        Raises:
            GivenBack: the order's stock was released before.
        """
        async with self.engine.begin() as transaction:
            answer = await self._answered(transaction, key)
            if answer is None:
                answer = await self._reserve(transaction, key, order)
        if self.latency:
            await asyncio.sleep(self.latency)
        return None if answer.outcome == "reserved" else Unavailable(answer.outcome, tuple(answer.missing))

    async def release(self, key: str, order_id: str) -> None:
        """Give back what is kept for the order, and keep nothing for it from now on."""
        async with self.engine.begin() as transaction:
            if await transaction.scalar(select(releases.c.order_id).filter_by(idempotency_key=key)) is None:
                await transaction.execute(insert(releases).values(idempotency_key=key, order_id=order_id))
                for product_id, quantity in await self._kept_for(transaction, order_id):
                    await self._move(transaction, product_id, quantity)
        if self.latency:
            await asyncio.sleep(self.latency)

    async def _answered(self, transaction: AsyncConnection, key: str) -> Row[Any] | None:
        return (await transaction.execute(select(reservations).filter_by(idempotency_key=key))).one_or_none()

    async def _reserve(self, transaction: AsyncConnection, key: str, order: Order) -> Row[Any]:
        if await transaction.scalar(select(releases.c.order_id).filter_by(order_id=order.order_id)):
            raise GivenBack(order.order_id)
        wanted = wanted_of(order)
        unavailable = await self._unavailable(transaction, wanted)
        answer = insert(reservations).values(
            idempotency_key=key,
            order_id=order.order_id,
            outcome=unavailable.reason if unavailable else "reserved",
            missing=list(unavailable.product_ids) if unavailable else [],
        )
        row = (await transaction.execute(answer.returning(*reservations.c))).one()
        if unavailable is None:
            lines = [
                {"idempotency_key": key, "product_id": product_id, "quantity": quantity}
                for product_id, quantity in wanted.items()
            ]
            await transaction.execute(insert(reserved_lines), lines)
            for product_id, quantity in wanted.items():
                await self._move(transaction, product_id, -quantity)
        return row

    async def _unavailable(self, transaction: AsyncConnection, wanted: Counter[str]) -> Unavailable | None:
        """Rows are locked in one order, so that two orders never wait for each other."""
        asked = select(products).where(products.c.product_id.in_(wanted)).order_by(products.c.product_id)
        known = {row.product_id: row for row in await transaction.execute(asked.with_for_update())}
        gone = tuple(row.product_id for row in known.values() if row.discontinued)
        if gone:
            return Unavailable("discontinued", gone)
        short = tuple(each for each, many in wanted.items() if each not in known or many > known[each].free)
        return Unavailable("out_of_stock", short) if short else None

    async def _kept_for(self, transaction: AsyncConnection, order_id: str) -> Sequence[tuple[str, int]]:
        kept = (
            select(reserved_lines.c.product_id, reserved_lines.c.quantity)
            .join(reservations, reservations.c.idempotency_key == reserved_lines.c.idempotency_key)
            .where(reservations.c.order_id == order_id)
            .order_by(reserved_lines.c.product_id)
        )
        return [(row.product_id, row.quantity) for row in await transaction.execute(kept)]

    async def _move(self, transaction: AsyncConnection, product_id: str, quantity: int) -> None:
        moved = update(products).filter_by(product_id=product_id).values(free=products.c.free + quantity)
        await transaction.execute(moved)


def wanted_of(order: Order) -> Counter[str]:
    """Pieces of each product, sorted; an order may name a product in more than one line."""
    wanted: Counter[str] = Counter()
    for line in sorted(order.lines, key=lambda line: line.product_id):
        wanted[line.product_id] += line.quantity
    return wanted


@asynccontextmanager
async def open_stock() -> AsyncGenerator[Stock, None]:
    """The stock, as the environment says: `INVENTORY_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as engine:
        yield Stock(engine, float(os.environ.get("LATENCY") or 0))
