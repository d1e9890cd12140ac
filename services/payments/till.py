"""The till: customers are charged and refunded. Every method may be repeated under the same key.

What has been done is written down under the idempotency key in the transaction that does it; nothing else
guards against doing it twice, so that a charge that ran twice under two keys shows as money that does not add up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection, insert, select

from contracts.orders import Order
from services.payments.database import Database, charges, database_url, open_database, refunds

LIMIT = Decimal("2000.00")
"""Dollars that a customer can pay at once; what is over it is declined."""


class Refunded(Exception):
    """The order was refunded already: this attempt comes from a worker that was thought dead."""


@dataclass(frozen=True)
class Till:
    """Charges and refunds in their database.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    database: Database
    latency: float = 0.0

    async def charge(self, key: str, order: Order) -> bool:
        """Charge the order's value; whether the customer could pay.

        Raises:
            Refunded: the order was refunded before.
        """
        is_charged = await self.database.transact(partial(charge, key=key, order=order), lock=order.order_id)
        await self._take_time()
        return is_charged

    async def refund(self, key: str, order_id: str) -> None:
        """Give back all that was charged for the order, and charge nothing for it from now on."""
        await self.database.transact(partial(refund, key=key, order_id=order_id), lock=order_id)
        await self._take_time()

    async def _take_time(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)


def charge(transaction: Connection, key: str, order: Order) -> bool:
    """See `Till.charge`; in one transaction."""
    outcome = transaction.scalar(select(charges.c.outcome).filter_by(idempotency_key=key))
    if outcome is None:
        if transaction.scalar(select(refunds.c.order_id).filter_by(order_id=order.order_id)):
            raise Refunded(order.order_id)
        outcome, amount = ("declined", Decimal(0)) if order.value > LIMIT else ("charged", order.value)
        row = {"idempotency_key": key, "order_id": order.order_id, "outcome": outcome, "amount": amount}
        transaction.execute(insert(charges).values(row))
    return outcome == "charged"


def refund(transaction: Connection, key: str, order_id: str) -> None:
    """See `Till.refund`; in one transaction."""
    if transaction.scalar(select(refunds.c.order_id).filter_by(idempotency_key=key)):
        return
    paid = transaction.scalars(select(charges.c.amount).filter_by(order_id=order_id))
    row = {"idempotency_key": key, "order_id": order_id, "amount": sum(paid, Decimal(0))}
    transaction.execute(insert(refunds).values(row))


@asynccontextmanager
async def open_till() -> AsyncGenerator[Till, None]:
    """The till, as the environment says: `PAYMENTS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield Till(database, float(os.environ.get("LATENCY") or 0))
