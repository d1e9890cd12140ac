"""Places the orders at their rate, follows their runs to the end, and redrives crash loops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

from contracts.order_fulfilment import order_fulfilment
from contracts.orders import OrderConfirmed, OrderPlaced
from pavane import BrokerUnavailable, Client, DeadLetter, RunHandle, RunStatus, StateUnavailable
from services.demo.drive import TERMINAL

LOOKED_AT = 60
"""Runs whose records are read at a time."""

PAUSE = 0.5
LETTERS_EVERY = 3.0
AWAY = (BrokerUnavailable, StateUnavailable)

log = logging.getLogger("tests.chaos")


class Load:
    """The orders of a round.

    Attributes:
        runs: the latest status seen of each run, by order id.
        redriven: letters of crash loops that were sent back.
        letters: all others, by id; there should be none.
    """

    def __init__(self, client: Client, orders: Sequence[OrderPlaced], rate: float) -> None:
        self._client = client
        self._orders = orders
        self._rate = rate
        self._open: dict[str, RunHandle[OrderConfirmed]] = {}
        self._handles: dict[str, RunHandle[OrderConfirmed]] = {}
        self._all_ended = asyncio.Event()
        self.placed = 0
        self.runs: dict[str, RunStatus] = {}
        self.redriven: list[DeadLetter] = []
        self.letters: dict[str, DeadLetter] = {}

    @property
    def ended(self) -> int:
        """Runs seen to have ended."""
        return self.placed - len(self._open)

    @property
    def by_status(self) -> Counter[str]:
        """Runs by status, as last seen."""
        return Counter(status.status for status in self.runs.values())

    async def place(self) -> None:
        """Place all orders at their rate; return when each has been taken down."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as starts:
            for number, order in enumerate(self._orders):
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
                starts.create_task(self._start(order))

    async def follow(self) -> None:
        """Look at the runs in turn, for ever."""
        while True:
            await asyncio.sleep(PAUSE)
            await self._look(list(self._open.items())[:LOOKED_AT])

    async def all_ended(self) -> None:
        """Return when every run has been seen to have ended."""
        await self._all_ended.wait()

    async def redrive_crash_loops(self) -> None:
        """Now and then, for ever: send back what was killed three times, and note all other letters."""
        while True:
            await asyncio.sleep(LETTERS_EVERY)
            try:
                for letter in await self._client.dead_letters.list().all():
                    await self._deal_with(letter)
            except AWAY as error:
                log.info("dead letters are looked at later: %s", error)

    async def _deal_with(self, letter: DeadLetter) -> None:
        if letter.reason != "crash_loop":
            self.letters[letter.id] = letter
            return
        report = await self._client.dead_letters.redrive(letter.id, reason="the kill-test killed it")
        if report.done:
            self.redriven.append(letter)

    async def _start(self, order: OrderPlaced) -> None:
        """A shop whose order was not taken down tries again; the run's id makes that harmless."""
        while True:
            try:
                handle = await self._client.start(order_fulfilment, order)
            except AWAY as error:
                log.info("order %s is placed again: %s", order.order_id, error)
                await asyncio.sleep(PAUSE)
            else:
                self._open[order.order_id] = self._handles[order.order_id] = handle
                self.placed += 1
                return

    async def look_at_all(self) -> None:
        """Look at every run once more: steps that close a run go on after its end."""
        for first in range(0, len(self._handles), LOOKED_AT):
            await self._look(list(self._handles.items())[first : first + LOOKED_AT])

    async def _look(self, handles: Sequence[tuple[str, RunHandle[OrderConfirmed]]]) -> None:
        """Those still open go to the end of the line, so that all are looked at in turn."""
        try:
            statuses = await asyncio.gather(*(handle.status() for _, handle in handles))
        except AWAY as error:
            log.info("runs are looked at later: %s", error)
            return
        for (order_id, handle), status in zip(handles, statuses, strict=True):
            self.runs[order_id] = status
            self._open.pop(order_id, None)
            if status.status not in TERMINAL:
                self._open[order_id] = handle
        if self.placed == len(self._orders) and not self._open:
            self._all_ended.set()
