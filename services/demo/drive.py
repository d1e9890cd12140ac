"""Places the orders and follows their runs until each has ended and nothing moves any more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

from contracts.order_fulfilment import order_fulfilment
from contracts.orders import OrderConfirmed, OrderPlaced
from pavane import Client, RunHandle, RunStatus
from services.demo.options import Options

TERMINAL = ("completed", "failed", "compensated", "cancelled")
LOOKED_AT = 200
"""Runs whose records are read at a time; the oldest open ones, as they are the next to end."""

PAUSE, SHORT_PAUSE = 0.1, 0.004
PATIENCE = 150.0
"""Seconds without any run ending after which the rest is given up: longer than a lease and a longest backoff."""

SETTLED_IN = 90.0
"""Seconds that closing steps (notices, notes) may take after the last run has ended."""


class AlreadyPlaced(Exception):
    """An order's run exists in this namespace since an earlier demo."""


class Drive:
    """One round of orders.

    Attributes:
        runs: the latest status seen of each run, by order id.
        total: how many orders there are in all.
        elapsed: seconds from the first order placed to the last run ended.
    """

    def __init__(self, client: Client, orders: Sequence[OrderPlaced], options: Options) -> None:
        self._client = client
        self._orders = orders
        self._options = options
        self._open: dict[str, RunHandle[OrderConfirmed]] = {}
        self.handles: dict[str, RunHandle[OrderConfirmed]] = {}
        self.runs: dict[str, RunStatus] = {}
        self.total = len(orders)
        self.elapsed = 0.0
        self._began = time.monotonic()

    @property
    def ended(self) -> int:
        """Runs that have ended."""
        return len(self.handles) - len(self._open)

    @property
    def by_status(self) -> Counter[str]:
        """Runs by status, as last seen; one that was not looked at yet is running."""
        seen = Counter[str](status.status for status in self.runs.values())
        seen["running"] += len(self.handles) - len(self.runs)
        return +seen

    async def run(self, show: Callable[[], None]) -> None:
        """Place every order and follow it; `show` is called now and then.

        Raises:
            AlreadyPlaced: a run of one of the orders was there before.
        """
        self._began = time.monotonic()
        placing = asyncio.ensure_future(self._place())
        try:
            await self._follow(placing, show)
            if placing.done():
                await placing
        finally:
            placing.cancel()
        self.elapsed = time.monotonic() - self._began

    async def settle(self, show: Callable[[], None]) -> None:
        """Wait until queues and steps are quiet, seen twice in a row; then read every run once more."""
        give_up, quiet = time.monotonic() + SETTLED_IN, 0
        while quiet < 2 and time.monotonic() < give_up:
            await asyncio.sleep(PAUSE)
            await self._look(list(self.handles.items()))
            quiet = quiet + 1 if await self._is_quiet() else 0
            show()

    async def _place(self) -> None:
        for number, placed in enumerate(self._orders):
            if self._options.rate:
                due = self._began + number / self._options.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            handle = await self._client.start(order_fulfilment, placed)
            if not handle.created:
                raise AlreadyPlaced(f"{handle.run} exists already: choose another PAVANE_NAMESPACE.")
            self.handles[placed.order_id] = self._open[placed.order_id] = handle
            while self._options.one_at_a_time and self._open:
                await asyncio.sleep(SHORT_PAUSE)
                await self._look(list(self._open.items()))

    async def _follow(self, placing: asyncio.Future[None], show: Callable[[], None]) -> None:
        last_end, ended = time.monotonic(), 0
        while not placing.done() or self._open:
            if not self._options.one_at_a_time:
                await self._look(list(islice(self._open.items(), LOOKED_AT)))
            if self.ended > ended or not self._open:
                last_end, ended = time.monotonic(), self.ended
            if time.monotonic() - last_end > PATIENCE:
                return
            show()
            await asyncio.sleep(PAUSE)
        show()

    async def _look(self, handles: Sequence[tuple[str, RunHandle[OrderConfirmed]]]) -> None:
        for first in range(0, len(handles), LOOKED_AT):
            chosen = handles[first : first + LOOKED_AT]
            statuses = await asyncio.gather(*(handle.status() for _, handle in chosen))
            for (order_id, _), status in zip(chosen, statuses, strict=True):
                self.runs[order_id] = status
                if status.status in TERMINAL:
                    self._open.pop(order_id, None)

    async def _is_quiet(self) -> bool:
        working = any(run.steps.keys() & {"running", "retrying", "undoing"} for run in self.runs.values())
        return not working and all(not queue.ready for queue in await self._client.queues())
