"""Commands on their way: those of one turn of the event loop go out together, under load those of a millisecond.

A command belongs to the pipeline, not to its caller: whoever is cancelled leaves its reply to be read and
thrown away, so that no reply ever reaches another caller. After anything that could leave replies behind, the
connection is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, RedisError, ResponseError

from pavane.adapters.redis.border import unavailable
from pavane.errors import StateUnavailable

Reply = Any
"""What Redis answers: bytes, an integer, a list of replies, or nothing."""

BATCH = 256
"""Commands that go out together at most, so that one batch does not keep the others waiting."""

GATHER_FOR = 0.001
"""Seconds that commands wait for others if a batch has just gone out. A chain of steps took a twentieth less of
this process and a tenth less of Redis; a command that comes alone, or after one that was alone, does not wait."""

LOST = (RedisError, OSError, asyncio.IncompleteReadError)
"""What a connection raises when it is gone. `TimeoutError` is an `OSError`."""


def pack(*words: bytes) -> bytes:
    """A command as it goes over the wire."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


class Wire:
    """Sends packed commands over a few connections and hands each caller its reply.

    Args:
        connect: makes a connection, not yet connected.
        timeout: seconds until a command that was not answered is given up.
        connections: how many there may be.
    """

    def __init__(
        self, connect: Callable[[], AbstractConnection], *, timeout: float, connections: int = 2
    ) -> None:
        self._connect = connect
        self._timeout = timeout
        self._spare = connections
        self._idle: list[AbstractConnection] = []
        self._waiting: deque[tuple[bytes, asyncio.Future[Reply], float]] = deque()
        self._away: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._flushed_at = 0.0
        self._busy = False
        self._closed = False

    def send(self, packed: bytes) -> asyncio.Future[Reply]:
        """Send a command; its reply comes with the future. (No coroutine: there are four of these a step.)

        Raises (the future, when it is awaited):
            StateUnavailable: no connection, no answer in time, or the server cannot serve now.
            ResponseError: Redis refused this very command, or does not know the script.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if self._closed:
            future.set_exception(StateUnavailable("the connection to Redis is closed"))
            return future
        now = loop.time()
        self._waiting.append((packed, future, now + self._timeout))
        if not self._scheduled:
            self._scheduled = True
            soon = self._flushed_at + GATHER_FOR - now
            if self._busy and soon > 0:
                loop.call_later(soon, self._flush)
            else:
                loop.call_soon(self._flush)
        return future

    async def close(self) -> None:
        """Give up what is under way and disconnect. Idempotent."""
        self._closed = True
        away = list(self._away)
        for task in away:
            task.cancel()
        if away:
            await asyncio.wait(away)
        while self._waiting:
            settle(self._waiting.popleft()[1], StateUnavailable("the connection to Redis is closed"))
        for connection in self._idle:
            await hang_up(connection)
        self._idle.clear()

    def _flush(self) -> None:
        """Give what waits to a connection, if one is free; otherwise the next one that is will take it."""
        self._scheduled = False
        while self._waiting and (self._idle or self._spare):
            if self._idle:
                connection = self._idle.pop()
            else:
                self._spare -= 1
                connection = self._connect()
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._flushed_at = asyncio.get_running_loop().time()
            self._busy = len(batch) > 1
            task = asyncio.create_task(self._carry(connection, batch))
            self._away.add(task)
            task.add_done_callback(self._away.discard)

    async def _carry(
        self, connection: AbstractConnection, batch: list[tuple[bytes, asyncio.Future[Reply], float]]
    ) -> None:
        """Send a batch over one connection and read its replies in order."""
        error: BaseException | None = None
        try:
            async with asyncio.timeout_at(batch[0][2]):
                await refresh(connection)
                await connection.send_packed_command(
                    [b"".join([packed for packed, _, _ in batch])], check_health=False
                )
                for _, future, _ in batch:
                    settle(future, await next_reply(connection))
        except Exception as lost:  # whatever it is, the callers must hear of it
            error = lost
        except asyncio.CancelledError:
            error = ConnectionError("it was closed here")
            raise
        finally:
            if error is not None:
                for _, future, _ in batch:
                    settle(future, unavailable(error))
                await hang_up(connection)
            self._idle.append(connection)
            if not self._closed:
                self._flush()


async def next_reply(connection: AbstractConnection) -> Reply:
    """The next reply; an error that is the answer to one command is returned."""
    try:
        return await connection.read_response(  # pyright: ignore[reportUnknownVariableType]
            disable_decoding=True, disconnect_on_error=False
        )
    except BusyLoadingError as loading:
        return unavailable(loading)
    except ResponseError as error:
        return error


def settle(future: asyncio.Future[Reply], reply: Reply) -> None:
    """Hand a reply to a caller who still waits for it."""
    if future.done():
        return
    if isinstance(reply, BaseException):
        future.set_exception(reply)
    else:
        future.set_result(reply)


async def refresh(connection: AbstractConnection) -> None:
    """Connect, also where the server has closed the connection, or left something on it, since it was last used."""
    if connection.is_connected:
        try:
            stale = await connection.can_read()
        except OSError:
            stale = True
        if not stale:
            return
        await hang_up(connection)
    await connection.connect()  # type: ignore[no-untyped-call]


async def hang_up(connection: AbstractConnection) -> None:
    """Close a connection without waiting for the other side."""
    with suppress(*LOST):
        await connection.disconnect(nowait=True)
