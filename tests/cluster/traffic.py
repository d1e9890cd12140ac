"""Runs that go through while something happens to the servers, and what became of them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.record import Record
from pavane.errors import InfrastructureError
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from tests.crash.ledger import VARIABLE, Ledger
from tests.crash.program import Begun, chain
from tests.crash.workers import WorkerProcess

RATE = 10.0
"""Runs of three steps and a closing one, started per second."""

BEFORE, AFTER = 3.0, 5.0
"""Seconds of traffic before and after what happens."""

ENDED_WITHIN = 120.0
HEARTBEAT = "5"


@dataclass(frozen=True)
class Passed:
    """What became of the runs.

    Attributes:
        gap: the longest time, in seconds, in which no handler began anywhere.
        refused: starts that got no answer and were repeated.
        wrong: sentences.
    """

    runs: int
    gap: float
    refused: int
    wrong: Sequence[str]


class Traffic:
    """Two worker processes and a client. Use `flowing`."""

    def __init__(
        self, client: Client, store: Store, ledger: Ledger, processes: Sequence[WorkerProcess]
    ) -> None:
        self.processes = processes
        self._client = client
        self._store = store
        self._ledger = ledger
        self._numbers = itertools.count()

    @classmethod
    @asynccontextmanager
    async def flowing(cls, broker_url: str, state_url: str, folder: Path) -> AsyncGenerator[Traffic, None]:
        """Processes that are ready, in a namespace of their own."""
        namespace = f"cluster_{secrets.token_hex(4)}"
        settings = Settings(
            broker_url=broker_url, state_url=state_url, namespace=namespace, heartbeat=5, publish_timeout=5
        )
        ledger = Ledger(folder / f"{namespace}.ledger")
        environment = {
            "PAVANE_BROKER_URL": broker_url,
            "PAVANE_STATE_URL": state_url,
            "PAVANE_NAMESPACE": namespace,
            "PAVANE_HEARTBEAT": HEARTBEAT,
            "PAVANE_PUBLISH_TIMEOUT": HEARTBEAT,
            VARIABLE: str(ledger.path),
        }
        processes = [WorkerProcess(environment) for _ in range(2)]
        store, broker = connect(settings)
        try:
            for process in processes:
                await process.start()
            await open_pair(store, broker)
            client = Client.over(store, broker, settings=settings, clock=SystemClock())
            yield cls(client, store, ledger, processes)
        finally:
            for process in processes:
                await process.close()
            await close_pair(store, broker)

    async def during(self, happens: Callable[[], Awaitable[None]]) -> Passed:
        """Start runs before, while and after it happens, and wait for all of them."""
        keys: list[str] = []
        refused: list[str] = []
        began = time.monotonic()
        starting = asyncio.create_task(self._start_runs(keys, refused))
        try:
            await asyncio.sleep(BEFORE)
            await happens()
            await asyncio.sleep(AFTER)
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        wrong = await self._until_all_ended(keys)
        moments = [entry.at for entry in self._ledger.starts() if entry.at >= began]
        gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
        died = [
            f"a process ended with {one.returncode}" for one in self.processes if one.returncode is not None
        ]
        return Passed(len(keys), max(gaps, default=float("inf")), len(refused), [*wrong, *died])

    async def _start_runs(self, keys: list[str], refused: list[str]) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(1 / RATE)
                keys.append(f"{next(self._numbers)}")
                tasks.create_task(self._start(keys[-1], refused))

    async def _start(self, key: str, refused: list[str]) -> None:
        while True:
            try:
                await self._client.start(chain, Begun(key=key))
                return
            except InfrastructureError:
                refused.append(key)
                await asyncio.sleep(0.5)

    async def _until_all_ended(self, keys: Sequence[str]) -> list[str]:
        """What is wrong with the runs; one that was never written down (its start was cut off) is none."""
        end = time.monotonic() + ENDED_WITHIN
        found = [f"{len(keys)} runs: nobody has looked"]
        while found and time.monotonic() < end:
            with suppress(InfrastructureError):
                records = [await self._store.read(f"chain:{key}") for key in keys]
                found = [sentence for record in records if record for sentence in wrong_with(record)]
            await asyncio.sleep(0.5)
        return found


def wrong_with(record: Record) -> list[str]:
    """A run has to complete, each step once, and no attempt may be spent on a server that was away."""
    if record.head.phase != "completed":
        return [f"{record.head.key} is {record.head.phase}"]
    steps = record.steps.values()
    unfinished = [
        f"{record.head.key}: {row.step} is {row.state}" for row in steps if row.state != "committed"
    ]
    burned = [
        f"{record.head.key}: {row.step} has {row.work.failures} failures"
        for row in steps
        if row.work.failures
    ]
    kept = [f"{record.head.key}: {row} was never published" for row in record.outbox]
    return [
        *unfinished,
        *burned,
        *kept,
        *([] if len(record.steps) == 4 else [f"{record.head.key} has {len(record.steps)} steps"]),
    ]
