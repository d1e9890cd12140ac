"""The post office: notices to customers and colleagues. Sending may be repeated under the same key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

from sqlalchemy import Connection, insert, select

from services.notifications.database import Database, database_url, notices, open_database

Recipient: TypeAlias = Literal["customer", "warehouse", "accounting"]


@dataclass(frozen=True)
class PostOffice:
    """Sent notices in their database; where a real service would hand them to a mail server.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    database: Database
    latency: float = 0.0

    async def send(self, key: str, order_id: str, *, to: Recipient, subject: str, text: str) -> None:
        """Send one notice."""
        row = {
            "idempotency_key": key,
            "order_id": order_id,
            "recipient": to,
            "subject": subject,
            "text": text,
        }
        await self.database.transact(partial(send, row=row), lock=order_id)
        if self.latency:
            await asyncio.sleep(self.latency)


def send(transaction: Connection, row: dict[str, str]) -> None:
    sent = select(notices.c.order_id).filter_by(idempotency_key=row["idempotency_key"])
    if transaction.scalar(sent) is None:
        transaction.execute(insert(notices).values(row))


@asynccontextmanager
async def open_post() -> AsyncGenerator[PostOffice, None]:
    """The post office, as the environment says: `NOTIFICATIONS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield PostOffice(database, float(os.environ.get("LATENCY") or 0))
