"""The orders service's database: one row per order."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    MetaData,
    String,
    Table,
    TypeDecorator,
    event,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

metadata = MetaData()


class Cents(TypeDecorator[Decimal]):
    """Dollars, kept as whole cents: every database adds them up exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.scaleb(2).to_integral_exact())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


orders = Table(
    "orders",
    metadata,
    Column("order_id", String, primary_key=True),
    Column("customer_id", String, nullable=False),
    Column("value", Cents, nullable=False),
    Column("freight", Cents, nullable=False),
    Column("status", String, nullable=False),
    Column("tracking", String),
    Column("customer_told", Boolean, nullable=False, default=False),
)
"""`status` is `placed`, `confirmed`, `discontinued`, `out_of_stock`, `payment_declined`, `shipment_refused` or, if
the run ended in another way (its deadline, an operator), `abandoned`."""


def database_url() -> str:
    """`ORDERS_DATABASE_URL`, else the SQLite file `orders.db` in the folder `DATA` (`data`)."""
    file = Path(os.environ.get("DATA") or "data").absolute() / "orders.db"
    return os.environ.get("ORDERS_DATABASE_URL") or f"sqlite+aiosqlite:///{file}"


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[AsyncEngine, None]:
    """The database at `url`, with its tables, for as long as the block lasts."""
    engine = create_engine(url)
    try:
        async with engine.begin() as transaction:
            await transaction.run_sync(metadata.create_all)
        yield engine
    finally:
        await engine.dispose()


def create_engine(url: str) -> AsyncEngine:
    """SQLite allows one writer at a time, so a process has one connection and its handlers queue for it.

    Other processes are waited for (`busy_timeout`). `begin immediate` takes the write lock at once: a
    transaction that reads first and asks for it later may be refused without waiting. With the
    write-ahead log and `synchronous=normal` a killed process loses nothing; only a power cut can lose the
    last moments.
    """
    if not url.startswith("sqlite"):
        return create_async_engine(url, pool_pre_ping=True)
    Path(url.partition(":///")[2]).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=120)

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "journal_mode=wal", "synchronous=normal"):
            cursor.execute(f"pragma {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine
