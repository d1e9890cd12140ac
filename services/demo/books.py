"""The services' books: what their own databases say after the last run has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, Executable, Row, select

import services.inventory.database as inventory
import services.notifications.database as notifications
import services.orders.database as orders
import services.payments.database as payments
import services.shipping.database as shipping
from services.demo.databases import opened


@dataclass(frozen=True)
class OrderRow:
    """An order as the orders service has it; `value` in dollars."""

    status: str
    value: Decimal


@dataclass(frozen=True)
class ProductRow:
    """Pieces of a product: at first, and free now."""

    opening: int
    remaining: int


@dataclass(frozen=True)
class Books:
    """All that the services have written down.

    Attributes:
        charged, refunded: dollars, one entry for each time, by order.
        reserved, released, sent, recalled: how often, by order.
        shipped: pieces that left and were not recalled, by product.
        notices: how often each recipient was told, by order and recipient.
    """

    orders: dict[str, OrderRow]
    products: dict[str, ProductRow]
    charged: dict[str, list[Decimal]]
    refunded: dict[str, list[Decimal]]
    reserved: Counter[str]
    released: Counter[str]
    sent: Counter[str]
    recalled: Counter[str]
    shipped: Counter[str]
    notices: Counter[tuple[str, str]]

    @property
    def money_charged(self) -> Decimal:
        return _total(self.charged)

    @property
    def money_refunded(self) -> Decimal:
        return _total(self.refunded)

    @property
    def money_confirmed(self) -> Decimal:
        confirmed = (row.value for row in self.orders.values() if row.status == "confirmed")
        return sum(confirmed, Decimal("0.00"))


async def read_books() -> Books:
    """Read all five databases, as the environment names them."""
    order_rows = await _read(orders, select(orders.orders))
    product_rows, kept, released = await _read_inventory()
    charges = await _read(payments, select(payments.charges).filter_by(outcome="charged"))
    refunds = await _read(payments, select(payments.refunds))
    sent, lines, recalls = await _read_shipping()
    told = await _read(notifications, select(notifications.notices))
    recalled = Counter[str](row.order_id for row in recalls)
    shipped = Counter[str]()
    for row in lines:
        if row.order_id not in recalled:
            shipped[row.product_id] += row.quantity
    return Books(
        orders={row.order_id: OrderRow(row.status, row.value) for row in order_rows},
        products={row.product_id: ProductRow(row.opening, row.free) for row in product_rows},
        charged=_by_order(charges),
        refunded=_by_order(refunds),
        reserved=Counter(row.order_id for row in kept),
        released=Counter(row.order_id for row in released),
        sent=Counter(row.order_id for row in sent),
        recalled=recalled,
        shipped=shipped,
        notices=Counter((row.order_id, row.recipient) for row in told),
    )


async def _read_inventory() -> tuple[Sequence[Row[Any]], Sequence[Row[Any]], Sequence[Row[Any]]]:
    return (
        await _read(inventory, select(inventory.products)),
        await _read(inventory, select(inventory.reservations).filter_by(outcome="reserved")),
        await _read(inventory, select(inventory.releases)),
    )


async def _read_shipping() -> tuple[Sequence[Row[Any]], Sequence[Row[Any]], Sequence[Row[Any]]]:
    sent, lines = shipping.shipments, shipping.shipped_lines
    joined = select(sent.c.order_id, lines.c.product_id, lines.c.quantity).join(
        sent, sent.c.idempotency_key == lines.c.idempotency_key
    )
    return (
        await _read(shipping, select(sent).filter_by(outcome="created")),
        await _read(shipping, joined),
        await _read(shipping, select(shipping.recalls)),
    )


async def _read(service: ModuleType, statement: Executable) -> Sequence[Row[Any]]:
    def read(transaction: Connection) -> Sequence[Row[Any]]:
        return transaction.execute(statement).all()

    async with opened(service) as database:
        rows: Sequence[Row[Any]] = await database.transact(read)
        return rows


def _by_order(rows: Sequence[Row[Any]]) -> dict[str, list[Decimal]]:
    found: dict[str, list[Decimal]] = {}
    for row in rows:
        if row.amount:
            found.setdefault(row.order_id, []).append(row.amount)
    return found


def _total(amounts: dict[str, list[Decimal]]) -> Decimal:
    return sum((amount for each in amounts.values() for amount in each), Decimal("0.00"))
