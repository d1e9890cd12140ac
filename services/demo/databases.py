"""The services' databases before a round, where the environment says: empty, for all that is in them is added up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, MetaData, delete, func, select

import services.inventory.database as inventory
import services.notifications.database as notifications
import services.orders.database as orders
import services.payments.database as payments
import services.shipping.database as shipping
from services.demo.options import Options

SERVICES: dict[str, ModuleType] = {
    "orders": orders,
    "inventory": inventory,
    "payments": payments,
    "shipping": shipping,
    "notifications": notifications,
}


class BadDatabase(Exception):
    """A service's database cannot be opened, or is not empty."""


@asynccontextmanager
async def opened(service: ModuleType) -> AsyncGenerator[Any, None]:
    """The service's `Database`, for as long as the block lasts.

    Raises:
        BadDatabase: it cannot be opened.
    """
    try:
        async with service.open_database(service.database_url()) as database:
            yield database
    except service.DatabaseUnavailable as error:
        raise BadDatabase(str(error)) from None


@contextmanager
def data_folder(options: Options) -> Generator[None, None, None]:
    """Where the services keep the databases that no URL names: told to them by `DATA`, and without any at first."""
    if options.data is not None:
        for name in SERVICES:
            for file in options.data.glob(f"{name}.db*"):
                file.unlink()
        os.environ["DATA"] = str(options.data)
        yield
        return
    with tempfile.TemporaryDirectory(prefix="pavane-demo-") as folder:
        os.environ["DATA"] = folder
        yield


async def begin_empty(*, clear: bool) -> None:
    """Make sure that all five databases can be opened and that no row is in their tables.

    Args:
        clear: delete the rows that there are.

    Raises:
        BadDatabase: one cannot be opened, or holds rows that are not to be deleted.
    """
    filled: list[str] = []
    for name, service in SERVICES.items():
        async with opened(service) as database:
            rows: int = await database.transact(partial(rows_left, tables=service.metadata, clear=clear))
        filled += [f"{name.upper()}_DATABASE_URL: {rows} rows are in the database already."] if rows else []
    if filled:
        raise BadDatabase(
            "\n".join([*filled, "A round begins with empty ones: EMPTY=1 deletes the rows, or name others."])
        )


def rows_left(transaction: Connection, tables: MetaData, clear: bool) -> int:
    """How many rows there are in all tables, after they were deleted if they are to be."""
    rows = 0
    for table in tables.sorted_tables:
        if clear:
            transaction.execute(delete(table))
        rows += transaction.scalar(select(func.count()).select_from(table)) or 0
    return rows
