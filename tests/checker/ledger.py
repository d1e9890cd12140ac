"""The ledger: what handlers did to the world outside, kept where neither broker nor store can lose it.

A service has it as its resource, and a handler writes what it does around doing it:

    service = Service("stock", lifespan=ledger_at(path))

    async def reserve(ctx: Context[Ledger], order: Placed) -> Reserved:
        with effect(ctx, order):
            ...
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from pavane.core.identity import digest, loose_key, step_id
from pavane.core.record import JobKind
from pavane.model import wire
from pavane.model.context import JobContext, UndoContext
from pavane.model.event import Event

BUSY = 30.0
"""Seconds that a process waits for others that write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One thing that a handler (or with kind `undo` an undo) did outside.

    Attributes:
        record, worker, step: the job, as in `core.record`.
        key: the idempotency key that the handler was given.
        payload: `identity.digest` of what it was done with.
        started, ended: nanoseconds of the history's clock; 0: it never ended.
    """

    record: str
    worker: str
    step: str
    kind: JobKind
    key: str
    attempt: int
    token: int
    payload: str
    started: int = 0
    ended: int = 0


class Ledger(Protocol):
    """Where effects are written down."""

    def begin(self, effect: Effect) -> int:
        """Write an effect that starts now; its number."""
        ...

    def end(self, number: int) -> None:
        """It has been done."""
        ...

    def effects(self) -> tuple[Effect, ...]:
        """All of them, in the order in which they started."""
        ...


@contextmanager
def effect(ctx: JobContext[Ledger], event: Event) -> Generator[None]:
    """What is done in here is written to the ledger that the service has as its resource.

    If it raises, or the process dies in it, the effect has started and has not ended: it may or may not be there.
    """
    ledger = ctx.resources
    number = ledger.begin(
        Effect(
            record=ctx.run or loose_key(ctx.run_id),
            worker=ctx.worker,
            step=step_id(ctx.worker, ctx.event.id),
            kind="undo" if isinstance(ctx, UndoContext) else "step",
            key=ctx.idempotency_key,
            attempt=ctx.attempt,
            token=ctx.fencing_token,
            payload=digest(wire.encode(event)),
        )
    )
    yield
    ledger.end(number)


class MemoryLedger:
    """For processes that are simulated; `now` as for their history."""

    def __init__(self, now: Callable[[], int] = time.monotonic_ns) -> None:
        self._now = now
        self._effects: list[Effect] = []

    def begin(self, effect: Effect) -> int:
        self._effects.append(replace(effect, started=self._now()))
        return len(self._effects)

    def end(self, number: int) -> None:
        self._effects[number - 1] = replace(self._effects[number - 1], ended=self._now())

    def effects(self) -> tuple[Effect, ...]:
        return tuple(self._effects)


COLUMNS = tuple(field.name for field in fields(Effect))


class SqliteLedger:
    """For real processes, all of which open the same file. Rows survive the process that wrote them."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()  # plain handlers write from threads
        self._database = sqlite3.connect(file, timeout=BUSY, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            f"CREATE TABLE IF NOT EXISTS effects (number INTEGER PRIMARY KEY, {', '.join(COLUMNS)})"
        )

    def begin(self, effect: Effect) -> int:
        marks = ", ".join("?" * len(COLUMNS))
        with self._lock:
            row = self._database.execute(
                f"INSERT INTO effects ({', '.join(COLUMNS)}) VALUES ({marks})",
                astuple(replace(effect, started=time.monotonic_ns())),
            )
            return row.lastrowid or 0

    def end(self, number: int) -> None:
        with self._lock:
            self._database.execute(
                "UPDATE effects SET ended = ? WHERE number = ?", (time.monotonic_ns(), number)
            )

    def effects(self) -> tuple[Effect, ...]:
        with self._lock:
            rows = self._database.execute(f"SELECT {', '.join(COLUMNS)} FROM effects ORDER BY number")
            return tuple(Effect(**dict(zip(COLUMNS, row, strict=True))) for row in rows)

    def close(self) -> None:
        self._database.close()


def ledger_at(file: Path) -> Callable[[], AbstractAsyncContextManager[Ledger]]:
    """A service's `lifespan`: the ledger in this file."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Ledger, Any]:
        ledger = SqliteLedger(file)
        try:
            yield ledger
        finally:
            ledger.close()

    return opened


def ledger_of(ledger: Ledger) -> Callable[[], AbstractAsyncContextManager[Ledger]]:
    """A service's `lifespan`: this ledger."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Ledger, Any]:
        yield ledger

    return opened
