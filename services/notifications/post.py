"""The post office: notices to customers and colleagues. Sending may be repeated under the same key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.notifications.database import database_url, notices, open_database

Recipient: TypeAlias = Literal["customer", "warehouse", "accounting"]


@dataclass(frozen=True)
class PostOffice:
    """Sent notices in their database; where a real service would hand them to a mail server.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    engine: AsyncEngine
    latency: float = 0.0

    async def send(self, key: str, order_id: str, *, to: Recipient, subject: str, text: str) -> None:
        """Send one notice."""
        async with self.engine.begin() as transaction:
            if await transaction.scalar(select(notices.c.order_id).filter_by(idempotency_key=key)) is None:
                await transaction.execute(
                    insert(notices).values(
                        idempotency_key=key, order_id=order_id, recipient=to, subject=subject, text=text
                    )
                )
        if self.latency:
            await asyncio.sleep(self.latency)


@asynccontextmanager
async def open_post() -> AsyncGenerator[PostOffice, None]:
    """The post office, as the environment says: `NOTIFICATIONS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as engine:
        yield PostOffice(engine, float(os.environ.get("LATENCY") or 0))
