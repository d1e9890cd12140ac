"""The orders service's database: one row per order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Engine,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    event,
)

T = TypeVar("T")

THREADS = 8
"""Transactions at once in one process, where the database can do more than one."""

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
    return os.environ.get("ORDERS_DATABASE_URL") or f"sqlite:///{file}"


class Database:
    """The database, worked on in threads of its own: a transaction is one hop from the event loop and back.

    SQLite allows one writer at a time, so it has one thread and one connection, for which handlers queue.
    """

    def __init__(self, url: str) -> None:
        is_sqlite = url.startswith("sqlite")
        self._engine = sqlite_engine(url) if is_sqlite else create_engine(url, pool_size=THREADS)
        self._threads = ThreadPoolExecutor(1 if is_sqlite else THREADS, thread_name_prefix="orders-database")

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
