"""One direction of one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tests.proxy.faults import Faults

READ_AT_ONCE = 65_536
HELD_AT_MOST = 4 * 1024 * 1024
"""Bytes that wait in a direction; with more, the sender is made to wait too."""


PACKET = 1_400
"""Bytes that pass at a time on a narrow line."""


class Way:
    """Reads from one side and writes to the other.

    Args:
        passing: set while anything may pass; else all waits here, the end of the connection too.
        treat: what the protocol makes of bytes that arrived.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        faults: Faults,
        passing: asyncio.Event,
        treat: Callable[[bytes], bytes],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._faults = faults
        self._passing = passing
        self._treat = treat
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._ended = False
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Pass on until the sender has ended and all that it sent is through."""
        reading = asyncio.create_task(self._read())
        try:
            await self._write()
            await reading
        finally:
            reading.cancel()

    def offer(self, data: bytes) -> None:
        """Send this when its time has come, behind all that was offered before."""
        if data:
            faults, now = self._faults, asyncio.get_running_loop().time()
            due = now + faults.latency + faults.random.random() * faults.jitter
            if self._waiting:
                due = max(due, self._waiting[-1][0])
            self._waiting.append((due, data))
            self._held += len(data)
            self._news.set()

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(READ_AT_ONCE):
                self.offer(self._treat(data))
                while self._held > HELD_AT_MOST:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._ended = True
            self._news.set()

    async def _write(self) -> None:
        while self._waiting or not self._ended:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            due, data = self._waiting.popleft()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self._pass_on(data)
            self._held -= len(data)
            self._room.set()
        await self._passing.wait()

    async def _pass_on(self, data: bytes) -> None:
        rate = self._faults.bytes_per_second
        size = self._faults.piece or (PACKET if rate else len(data))
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            if rate:
                await asyncio.sleep(len(piece) / rate)
            await self._passing.wait()
            self._writer.write(piece)
            await self._writer.drain()
            if size < len(data):
                await asyncio.sleep(0)  # so that the next piece is sent by itself
