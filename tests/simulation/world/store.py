"""Redis as a world has it: atomic calls through the store in memory, on a wire that loses requests and replies.

A call may not arrive, arrive although its caller has given up, or be done and never answered. Whatever goes wrong,
the caller is told `StateUnavailable`, and does not know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from pavane.adapters.memory.store import MemoryStore
from pavane.core.record import Record
from pavane.errors import StateUnavailable
from pavane.ports.store import Handed
from tests.simulation.world.alone import START_NS
from tests.simulation.world.chances import Chances
from tests.simulation.world.link import Link, Server
from tests.simulation.world.loop import WORLD, WorldLoop

TIMEOUT = 2.0
"""Seconds that a call may take, as `settings.state_timeout`."""

JOURNAL = 200


class ServerClock:
    """The store's own clock: the world's."""

    def __init__(self, loop: WorldLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        return START_NS // 1_000_000 + int(self._loop.time() * 1000)

    def call_at(self, at: int, callback: Any) -> Any:
        raise AssertionError("a server's clock rings for nobody")

    async def sleep(self, duration: int) -> None:
        raise AssertionError("a server's clock rings for nobody")


class StoreServer(MemoryStore, Server):
    """The one Redis. Its clock is the world's."""

    def __init__(self, clock: Any, *, shards: int) -> None:
        MemoryStore.__init__(self, clock, shards=shards)
        Server.__init__(self)
        self._journal: list[tuple[str, Record | None]] = []

    def rewind(self, writes: int) -> list[str]:
        """Forget the last writes, as a power cut or a failover makes Redis forget them; whose they were."""
        lost, self._journal = self._journal[-writes:], self._journal[:-writes]
        for key, before in reversed(lost):
            super()._keep(key, before)
        return [key for key, _ in lost]

    def _keep(self, key: str, record: Record | None) -> None:
        self._journal.append((key, self._records.get(key)))
        if len(self._journal) > 2 * JOURNAL:
            del self._journal[:-JOURNAL]
        super()._keep(key, record)


class StoreConnection:
    """`pavane.ports.Store` for one machine. Every call of the port goes through `_call`."""

    def __init__(self, loop: WorldLoop, server: StoreServer, link: Link, chances: Chances) -> None:
        self._loop = loop
        self._server = server
        self._link = link
        self._chances = chances
        self._notify: Callable[[int, int], None] = lambda shard, at: None

    @property
    def shards(self) -> int:
        return self._server.shards

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        self._notify = notify

    async def close(self) -> None:
        """The records stay."""

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        """Waits in the server itself, on a connection of its own: what is on its way when that dies is lost."""
        rows = await self._server.handed(services)
        await self._loop.sleep(self._link.latency())
        if self._link.down or self._link.silence() > 0:
            raise StateUnavailable("the connection is gone")
        return rows

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._server, name)

        async def asked(*args: Any, **named: Any) -> Any:
            return await self._call(name, lambda: call(*args, **named), args)

        setattr(self, name, asked)
        return asked

    async def _call(self, name: str, call: Callable[[], Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        link, chances = self._link, self._chances
        if link.down:
            await self._loop.sleep(link.latency())
            raise StateUnavailable("the connection is refused")
        wait = link.latency() + max(0.0, link.stuck())
        if chances.maybe("store.request_lost"):
            await self._unanswered("the request is lost")
        if wait > TIMEOUT or chances.maybe("store.request_late"):
            self._later(max(wait, TIMEOUT * chances.between(0.5, 3)), name, call)
            await self._unanswered("no answer in time")
        await self._loop.sleep(wait)
        if link.down:
            raise StateUnavailable("the connection is gone")
        if name == "mark_all" and chances.maybe("store.marks_torn"):
            await self._execute(lambda: self._server.mark_all(args[0][: len(args[0]) // 2]))
            raise StateUnavailable("the connection is gone in the middle of a pipeline")
        answer = await self._execute(call)
        if link.silence() > 0 or chances.maybe("store.reply_lost"):
            await self._unanswered("the reply is lost")
        if chances.maybe("store.reply_late"):
            await self._loop.sleep(chances.between(0.05, 0.9) * TIMEOUT)
        elif chances.between(0, 1) < 0.3:
            await self._loop.sleep(link.latency())
        return answer

    async def _unanswered(self, why: str) -> None:
        """Most failures come at once, as a reset; some only after the whole timeout."""
        await self._loop.sleep(TIMEOUT * (1.0 if self._chances.between(0, 1) < 0.3 else 0.01))
        raise StateUnavailable(why)

    def _later(self, wait: float, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        """The request arrives when nobody waits for it any more."""
        if not name.startswith(("read", "history", "letter", "runs")):
            self._loop.call_later(wait, self._arrived_late, call, context=WORLD)

    def _arrived_late(self, call: Callable[[], Awaitable[Any]]) -> None:
        if not self._link.down:
            self._run(call, lambda shard, at: None)

    async def _execute(self, call: Callable[[], Awaitable[Any]]) -> Any:
        return self._run(call, self._notify)

    def _run(self, call: Callable[[], Awaitable[Any]], notify: Callable[[int, int], None]) -> Any:
        self._server.on_due(notify)
        working = call()
        try:
            working.send(None)  # type: ignore[attr-defined]
        except StopIteration as ended:
            return ended.value
        raise AssertionError("the store in memory waits for nothing")
