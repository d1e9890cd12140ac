"""Publishing what other services' processes have written and may not publish: undos and released jobs, mostly.

Where every service has a broker user of its own, the process whose step fails a run may not wake the undo of another
service's worker. It leaves the row to that service in the store, and the next free process of the service takes it.
With one user for all, nothing is ever left here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

from pavane.core.outbox import publications
from pavane.errors import InfrastructureError
from pavane.runtime.crew import Crew

AGAIN_IN = 5_000
"""Milliseconds until the store is asked again after it failed."""

log = logging.getLogger("pavane")


class Takeover:
    """Takes up what was left to the services of this process, for as long as it runs."""

    def __init__(self, crew: Crew, services: Sequence[str]) -> None:
        self._crew = crew
        self._services = tuple(services)
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled. What is taken and then lost comes up again in the outbox of its record."""
        while True:
            try:
                rows = await self._crew.store.handed(self._services)
            except InfrastructureError as error:
                log.debug("what other services leave is not looked for now: %s", error)
                await self._crew.clock.sleep(AGAIN_IN)
                continue
            except Exception:
                log.exception(
                    "what other services leave cannot be looked for; again in %g s", AGAIN_IN / 1000
                )
                await self._crew.clock.sleep(AGAIN_IN)
                continue
            by_record: dict[str, list[str]] = defaultdict(list)
            for row in rows:
                by_record[row.record].append(row.row)
            for record, ids in by_record.items():
                self._take(record, ids)

    def _take(self, record: str, rows: Sequence[str]) -> None:
        """In the background: one record that waits for the broker keeps no other waiting."""
        task = asyncio.get_running_loop().create_task(self._publish(record, rows))
        self._working.add(task)
        task.add_done_callback(self._done)

    async def _publish(self, key: str, rows: Sequence[str]) -> None:
        record = await self._crew.store.read(key)
        if record is not None:
            await self._crew.outbox.publish(key, publications(record, rows))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("what another service left is not published yet: %s", task.exception())

    def kill(self) -> None:
        """End its work at once."""
        for task in self._working:
            task.cancel()
