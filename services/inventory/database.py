"""The inventory service's database: stock, and every movement of it with the key it was made under."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Integer, MetaData, String, Table, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("product_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("opening", Integer, nullable=False),
    Column("free", Integer, nullable=False),
    Column("discontinued", Boolean, nullable=False),
)
"""`opening` is what there was at first, `free` what nobody has reserved."""

reservations = Table(
    "reservations",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("order_id", String, nullable=False, index=True),
    Column("outcome", String, nullable=False),
    Column("missing", JSON, nullable=False),
)
"""`outcome` is `reserved`, `discontinued` or `out_of_stock`; `missing` the products that it was for."""

reserved_lines = Table(
    "reserved_lines",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("product_id", String, primary_key=True),
    Column("quantity", Integer, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("order_id", String, nullable=False, index=True),
)


def database_url() -> str:
    """`INVENTORY_DATABASE_URL`, else the SQLite file `inventory.db` in the folder `DATA` (`data`)."""
    file = Path(os.environ.get("DATA") or "data").absolute() / "inventory.db"
    return os.environ.get("INVENTORY_DATABASE_URL") or f"sqlite+aiosqlite:///{file}"


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
