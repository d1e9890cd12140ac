"""What is left when all runs have ended: in their records, and in every queue of the namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence

from pavane.core.record import Record
from pavane.core.topology import Topology, queues_of, wheel_queues_of
from pavane.ports.store import Store
from tests.servers import RabbitServer

READ_AT_ONCE = 100
ASKED_EVERY = 1.0
DONE = ("committed", "undone", "refused")


class Remains:
    """Looks for work that is not done, past all that pavane says about itself where that is possible."""

    def __init__(self, store: Store, rabbit: RabbitServer, topology: Topology) -> None:
        self._store = store
        self._rabbit = rabbit
        self.queues = (*queues_of(topology), *wheel_queues_of(topology))
        self._prefix = f"{topology.namespace}."

    async def in_records(self, keys: Sequence[str]) -> list[str]:
        """Steps that are not over, and rows of the outbox that nobody has published."""
        found: list[str] = []
        for first in range(0, len(keys), READ_AT_ONCE):
            chosen = keys[first : first + READ_AT_ONCE]
            records = await asyncio.gather(*(self._store.read(key) for key in chosen))
            for key, record in zip(chosen, records, strict=True):
                found += [f"{key} has no record."] if record is None else _undone(record)
        return found

    async def in_queues(self) -> dict[str, int]:
        """Messages in each queue of the namespace, as the broker itself counts them: ready, unacknowledged, on
        their way to another queue; -1 for a queue that should be there and is not."""
        told = await asyncio.to_thread(
            self._rabbit.rabbitmqctl, "list_queues", "--no-table-headers", "name", "messages"
        )
        counts = {name: int(count) for name, count in _pairs(told.splitlines())}
        mine = {name: count for name, count in counts.items() if name.startswith(self._prefix)}
        return dict.fromkeys(self.queues, -1) | mine

    async def gone(self, keys: Sequence[str]) -> None:
        """Return when nothing is left; the cheap question is asked first."""
        while await self.in_records(keys) or any((await self.in_queues()).values()):  # noqa: ASYNC110
            await asyncio.sleep(ASKED_EVERY)


def _undone(record: Record) -> Iterator[str]:
    key = record.head.key
    for row in record.steps.values():
        if row.state not in DONE:
            yield f"{key}: the step {row.step} is {row.state}."
    for unpublished in record.outbox.values():
        yield f"{key}: {unpublished.kind} {unpublished.id} was never published."


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, tab, count = line.partition("\t")
        if tab:
            yield name, count
