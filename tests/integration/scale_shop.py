"""One worker that writes down, outside of pavane, what it has done: `pavane run tests.integration.scale_shop:app`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pavane import App, Context, Event, Service

VARIABLE = "SCALE_SHOP_LEDGER"
WORKER = "bank.charge"


class Charged(Event, name="scale.charged"):
    number: int


class Ledger:
    """One row for each time that the handler has run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = sqlite3.connect(path, isolation_level=None)
        # What was written outlives the process; a power cut is not what is tried here.
        self._database.executescript(
            "pragma journal_mode = wal; pragma synchronous = off;"
            "create table if not exists charges (number integer, key text)"
        )

    def write(self, number: int, key: str) -> None:
        self._database.execute("insert into charges values (?, ?)", (number, key))

    def count(self) -> int:
        return int(self._database.execute("select count(*) from charges").fetchone()[0])

    def rows(self) -> list[tuple[int, str]]:
        return self._database.execute("select number, key from charges order by number").fetchall()

    def close(self) -> None:
        self._database.close()


@asynccontextmanager
async def open_ledger() -> AsyncIterator[Ledger]:
    ledger = Ledger(Path(os.environ[VARIABLE]))
    try:
        yield ledger
    finally:
        ledger.close()


bank = Service("bank", lifespan=open_ledger)


@bank.queue_worker("charge")
async def charge(ctx: Context[Ledger], event: Charged) -> None:
    ctx.resources.write(event.number, ctx.idempotency_key)


app = App(services=[bank])
