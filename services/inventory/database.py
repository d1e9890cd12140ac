"""The inventory service's database: stock, and every movement of it with the key it was made under."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)

T = TypeVar("T")

THREADS = 8
"""Transactions at once in one process, where the database can do more than one."""

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
    return os.environ.get("INVENTORY_DATABASE_URL") or f"sqlite:///{file}"


class Database:
    """The database, worked on in threads of its own: a transaction is one hop from the event loop and back.

    SQLite allows one writer at a time, so it has one thread and one connection, for which handlers queue.
    """

    def __init__(self, url: str) -> None:
        is_sqlite = url.startswith("sqlite")
        self._engine = sqlite_engine(url) if is_sqlite else create_engine(url, pool_size=THREADS)
        self._threads = ThreadPoolExecutor(
            1 if is_sqlite else THREADS, thread_name_prefix="inventory-database"
        )

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """Call `work` in a transaction, which is committed when it returns and rolled back when it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transact, work)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        with self._engine.begin() as transaction:
            return work(transaction)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.dispose)
        self._threads.shutdown()


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database, None]:
    """The database at `url`, with its tables, for as long as the block lasts."""
    database = Database(url)
    try:
        await database.transact(metadata.create_all)
        yield database
    finally:
        await database.close()


def sqlite_engine(url: str) -> Engine:
    """Several processes may share the file: the others are waited for (`busy_timeout`).

    `begin immediate` takes the write lock at once: a transaction that reads first and asks for it later may
    be refused without waiting. With the write-ahead log and `synchronous=normal` a killed process loses
    nothing that was committed; only a power cut can lose the last moments.
    """
    Path(url.partition(":///")[2]).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=1, max_overflow=0)

    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself
        for pragma in ("busy_timeout=30000", "journal_mode=wal", "synchronous=normal"):
            connection.execute(f"pragma {pragma}")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine
