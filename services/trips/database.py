"""The trips service's database: every booking with the key it was made under."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from sqlalchemy import (
    URL,
    BigInteger,
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
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

T = TypeVar("T")

THREADS = 8
"""Transactions at once in one process, where the database can do more than one."""

WHERE = (
    "TRIPS_DATABASE_URL says where it is: sqlite:///<file>, or "
    "postgresql+psycopg://<user>:<password>@<host>:<port>/<database> with special characters of user and password "
    "percent-encoded."
)

metadata = MetaData()


class Cents(TypeDecorator[Decimal]):
    """Dollars, kept as whole cents: every database adds them up exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value.scaleb(2).to_integral_exact())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


offers = Table(
    "offers",
    metadata,
    Column("kind", String, primary_key=True),
    Column("city", String, primary_key=True),
    Column("opening", BigInteger, nullable=False),
    Column("free", BigInteger, nullable=False),
    Column("price", Cents, nullable=False),
)
"""`kind` is `flight`, `hotel` or `car`, here and below."""

bookings = Table(
    "bookings",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("trip_id", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("city", String, nullable=False),
    Column("code", String, nullable=False),
    Column("price", Cents, nullable=False),
)
"""What could not be had is written down too, without a code: asked again, the answer is the same."""

cancellations = Table(
    "cancellations",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("trip_id", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("idempotency_key", String, primary_key=True),
    Column("trip_id", String, nullable=False, index=True),
    Column("text", String, nullable=False),
)


def database_url() -> str:
    """`TRIPS_DATABASE_URL`, else the SQLite file `trips.db` in the folder `DATA` (`data`)."""
    file = Path(os.environ.get("DATA") or "data").absolute() / "trips.db"
    return os.environ.get("TRIPS_DATABASE_URL") or f"sqlite:///{file}"


class DatabaseUnavailable(Exception):
    """The database cannot be opened. The message says why and what to do; no URL, which may hold a password."""


class Database:
    """The database, worked on in threads of its own: a transaction is one hop from the event loop and back.

    SQLite allows one writer at a time, so it has one thread and one connection, for which handlers queue. On
    PostgreSQL transactions run side by side, but for those that name the same `lock`.

    Raises:
        DatabaseUnavailable: `url` is neither SQLite's nor PostgreSQL's.
    """

    def __init__(self, url: str) -> None:
        place = parse(url)
        self._is_sqlite = place.get_backend_name() == "sqlite"
        self._engine = sqlite_engine(place) if self._is_sqlite else postgresql_engine(place)
        threads = 1 if self._is_sqlite else THREADS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="trips-database")

    async def transact(self, work: Callable[[Connection], T], *, lock: str = "") -> T:
        """Call `work` in a transaction, which is committed when it returns and rolled back when it raises.

        Transactions with the same `lock` come one after another, in whatever processes they are: each sees all that
        the one before has written. What looks first and writes then needs it.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transact, work, lock)

    def _transact(self, work: Callable[[Connection], T], lock: str) -> T:
        with self._engine.begin() as transaction:
            if lock and not self._is_sqlite:
                number = crc32(f"trips {lock}".encode())  # two locks that share one only wait more
                transaction.execute(select(func.pg_advisory_xact_lock(number)))
            return work(transaction)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._engine.dispose)
        self._threads.shutdown()


@asynccontextmanager
async def open_database(url: str) -> AsyncGenerator[Database, None]:
    """The database at `url`, with its tables, for as long as the block lasts.

    Raises:
        DatabaseUnavailable: it cannot be reached, does not let us in, or the tables cannot be made.
    """
    with explained():
        database = Database(url)
    try:
        with explained():
            await database.transact(metadata.create_all, lock="tables")
        yield database
    finally:
        await database.close()


@contextmanager
def explained() -> Generator[None, None, None]:
    """What the driver says goes on as `DatabaseUnavailable`, alone: what surrounds it may hold the URL."""
    try:
        yield
    except (SQLAlchemyError, ImportError, OSError) as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        reason = " ".join(str(said).split())
        raise DatabaseUnavailable(f"The trips service cannot open its database: {reason}. {WHERE}") from None


def parse(url: str) -> URL:
    """The parts of `url`, unless the host may be half of a password: one with an `@` in it, or of a query."""
    try:
        place, credentials = make_url(url), url.rpartition("@")[0]
        if place.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError
        if place.host and ("@" in credentials or "?" in credentials):
            raise ValueError
    except (ArgumentError, ValueError):
        raise DatabaseUnavailable(f"The trips service cannot use the URL of its database. {WHERE}") from None
    return place


def sqlite_engine(url: URL) -> Engine:
    """Several processes may share the file: the others are waited for (`busy_timeout`).

    `begin immediate` takes the write lock at once: a transaction that reads first and asks for it later may
    be refused without waiting. With the write-ahead log and `synchronous=normal` a killed process loses
    nothing that was committed; only a power cut can lose the last moments.
    """
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
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


def postgresql_engine(url: URL) -> Engine:
    """A connection that the server has closed meanwhile is noticed (`pool_pre_ping`) and made anew.

    Others are waited for no longer than with SQLite, and a process that is frozen in a transaction loses it after a
    minute, with its locks.
    """
    place = url.update_query_dict({"connect_timeout": "10"} | dict(url.query))
    engine = create_engine(place, pool_size=THREADS, max_overflow=0, pool_pre_ping=True)

    def prepare(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout = '30s'")
            cursor.execute("set idle_in_transaction_session_timeout = '60s'")
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine
