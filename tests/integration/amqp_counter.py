"""A relay of TCP connections to RabbitMQ that counts what passes through, by kind of AMQP frame."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

KINDS = {1: "method", 2: "header", 3: "body", 8: "heartbeat"}
PROTOCOL_HEADER = 8


class AmqpCounter:
    """`frames` counts, since `forget`, what went either way."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 5672
        self._path = f"{parts.username}:{parts.password}@{{}}:{{}}{parts.path}"
        self.url = ""
        self.frames: Counter[str] = Counter()

    def forget(self) -> None:
        self.frames.clear()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[AmqpCounter]:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = "amqp://" + self._path.format("127.0.0.1", port)
        try:
            yield self
        finally:
            server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            there_writer.write(await reader.readexactly(PROTOCOL_HEADER))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, there_writer))
                both.create_task(self._pass_on(there_reader, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Frame by frame: kind (1 byte), channel (2), size (4), payload, end (1)."""
        try:
            while True:
                head = await reader.readexactly(7)
                rest = await reader.readexactly(int.from_bytes(head[3:7], "big") + 1)
                self.frames[KINDS.get(head[0], "unknown")] += 1
                writer.write(head + rest)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
