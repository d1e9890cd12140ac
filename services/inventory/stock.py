"""Stock: reserved for orders and given back. Every method may be repeated under the same key.

What has been done is written down under the idempotency key in the transaction that does it; nothing else
guards against doing it twice, so that a step that ran twice under two keys shows as stock that does not add up.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, insert, select, update

from contracts.inventory import WhyUnavailable
from contracts.orders import Order
from services.inventory.database import (
    Database,
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

    database: Database
    latency: float = 0.0

    async def reserve(self, key: str, order: Order) -> Unavailable | None:
        """Keep all lines of the order for it, or none; `None` if they are kept.

        Raises:
            GivenBack: the order's stock was released before.
        """
        answer = await self.database.transact(partial(reserve, key=key, order=order), lock=order.order_id)
        await self._take_time()
        return answer

    async def release(self, key: str, order_id: str) -> None:
        """Give back what is kept for the order, and keep nothing for it from now on."""
        await self.database.transact(partial(release, key=key, order_id=order_id), lock=order_id)
        await self._take_time()

    async def _take_time(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)


def reserve(transaction: Connection, key: str, order: Order) -> Unavailable | None:
    """See `Stock.reserve`; in one transaction."""
    done = transaction.execute(select(reservations).filter_by(idempotency_key=key)).one_or_none()
    if done is not None:
        return None if done.outcome == "reserved" else Unavailable(done.outcome, tuple(done.missing))
    if transaction.scalar(select(releases.c.order_id).filter_by(order_id=order.order_id)):
        raise GivenBack(order.order_id)
    wanted = wanted_of(order)
    unavailable = find_unavailable(transaction, wanted)
    transaction.execute(
        insert(reservations).values(
            idempotency_key=key,
            order_id=order.order_id,
            outcome=unavailable.reason if unavailable else "reserved",
            missing=list(unavailable.product_ids) if unavailable else [],
        )
    )
    if unavailable is None:
        for product_id, quantity in wanted.items():
            line = {"idempotency_key": key, "product_id": product_id, "quantity": quantity}
            transaction.execute(insert(reserved_lines).values(line))
            move(transaction, product_id, -quantity)
    return unavailable


def release(transaction: Connection, key: str, order_id: str) -> None:
    """See `Stock.release`; in one transaction."""
    if transaction.scalar(select(releases.c.order_id).filter_by(idempotency_key=key)):
        return
    transaction.execute(insert(releases).values(idempotency_key=key, order_id=order_id))
    kept = (
        select(reserved_lines.c.product_id, reserved_lines.c.quantity)
        .join(reservations, reservations.c.idempotency_key == reserved_lines.c.idempotency_key)
        .where(reservations.c.order_id == order_id)
        .order_by(reserved_lines.c.product_id)
    )
    for row in transaction.execute(kept).all():
        move(transaction, row.product_id, row.quantity)


def find_unavailable(transaction: Connection, wanted: Counter[str]) -> Unavailable | None:
    """Rows are locked in one order, so that two orders never wait for each other."""
    asked = select(products).where(products.c.product_id.in_(wanted)).order_by(products.c.product_id)
    known = {row.product_id: row for row in transaction.execute(asked.with_for_update())}
    gone = tuple(row.product_id for row in known.values() if row.discontinued)
    if gone:
        return Unavailable("discontinued", gone)
    short = tuple(each for each, many in wanted.items() if each not in known or many > known[each].free)
    return Unavailable("out_of_stock", short) if short else None


def move(transaction: Connection, product_id: str, quantity: int) -> None:
    moved = update(products).filter_by(product_id=product_id)
    transaction.execute(moved.values(free=products.c.free + quantity))


def wanted_of(order: Order) -> Counter[str]:
    """Pieces of each product, sorted; an order may name a product in more than one line."""
    wanted: Counter[str] = Counter()
    for line in sorted(order.lines, key=lambda line: line.product_id):
        wanted[line.product_id] += line.quantity
    return wanted


@asynccontextmanager
async def open_stock() -> AsyncGenerator[Stock, None]:
    """The stock, as the environment says: `INVENTORY_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield Stock(database, float(os.environ.get("LATENCY") or 0))
