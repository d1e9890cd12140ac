"""The server as the rest of this package sees it: scripts that are there, shards whose epoch is known.

Every process keeps the epoch of each shard as it first saw it. A shard that answers with another one, or with
none, has forgotten what it acknowledged: nothing goes on until somebody has decided what to do about that.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from typing import Any, Protocol

from redis.exceptions import ResponseError

from pavane.adapters.redis.border import refused, state_lost, unavailable
from pavane.adapters.redis.cluster import Cluster
from pavane.adapters.redis.documents import Blobs, Document, to_json
from pavane.adapters.redis.keys import Keys
from pavane.adapters.redis.nodes import Location, connections, connections_to, locate
from pavane.adapters.redis.scripting import Library, pack_call
from pavane.adapters.redis.wire import Reply, Wire, pack
from pavane.errors import SettingsError, StateUnavailable

CONNECTIONS = 1
"""While a batch is away the next one gathers. Two connections made batches half as long: a chain of steps took a
tenth more of the processor and was no faster."""

NOT_LOADED = "Function not found"
LOADED_ALREADY = "already exists"


class Link(Protocol):
    """The way to whatever server has a key. `None` for a key: any server will do."""

    def send(self, packed: bytes, key: bytes | None) -> Awaitable[Reply]: ...

    async def everywhere(self, packed: bytes) -> list[Reply]:
        """The answers of all servers."""
        ...

    async def close(self) -> None: ...


class Single:
    """A link to one server, which has all keys."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, packed: bytes, key: bytes | None) -> Awaitable[Reply]:
        return self._wire.send(packed)

    async def everywhere(self, packed: bytes) -> list[Reply]:
        return [await self._wire.send(packed)]

    async def close(self) -> None:
        await self._wire.close()


def link_to(location: Location, *, patience: float, timeout: float) -> Link:
    """
    Args:
        patience: seconds until a command that was not answered is given up.
        timeout: seconds until a connection that cannot be made is.
    """
    if location.kind == "cluster":
        return Cluster(location.nodes, lambda node: connections_to(location, node, timeout), timeout=patience)
    return Single(Wire(connections(location, timeout), timeout=patience, connections=CONNECTIONS))


class Server:
    """Runs scripts and commands; see `pavane.ports.store` for what may be raised.

    Args:
        first_contact: seconds that the first answer may take.
    """

    def __init__(
        self, url: str, *, keys: Keys, shards: int, timeout: float, first_contact: float, library: Library
    ) -> None:
        self.keys = keys
        self.shards = shards
        self._location = locate(url)
        self._place = self._location.place
        self._timeout = timeout
        self._first_contact = min(timeout, first_contact)
        self._library = library
        self._loading: dict[bytes, asyncio.Task[None]] = {}
        self._epochs: list[bytes] = [b""] * shards
        self._link: Link | None = None
        self._waiting: Link | None = None

    async def connect(self) -> None:
        """Find the server and learn the shards' epochs."""
        try:
            await asyncio.wait_for(self.command(b"PING"), self._first_contact)
        except TimeoutError as silent:
            raise refused(unavailable(silent), self._place) from None
        await self.learn_epochs()

    async def give_scripts(self) -> None:
        """Have the scripts there. Where they are, nothing is sent: a full server would refuse it."""
        await self.script("present", self.keys.shards(), [])

    async def close(self) -> None:
        links = [link for link in (self._link, self._waiting) if link is not None]
        self._link = self._waiting = None
        for link in links:
            await link.close()

    async def ask(
        self, name: str, shard: int, key: bytes, document: Document, blobs: Blobs | None = None
    ) -> Any:
        """Call a script of a shard; its answer.

        Raises:
            StateLost: the shard has another epoch than the one this process knows, or none.
        """
        body = to_json(document)
        told = self._epochs[shard]
        answer = await self.script(name, key, [told, body, *(blobs or ())])
        if answer[0] != b"lost":
            return answer
        # Only a call that told no epoch may learn it: the shard was initialised since this process looked. Others
        # that were on their way meanwhile may have learned it already.
        if told or not answer[1] or self._epochs[shard] not in (b"", answer[1]):
            raise state_lost(answer[1].decode())
        self._epochs[shard] = answer[1]
        answer = await self.script(name, key, [self._epochs[shard], body, *(blobs or ())])
        if answer[0] == b"lost":
            raise state_lost(answer[1].decode())
        return answer

    async def script(self, name: str, key: bytes, words: list[bytes]) -> Reply:
        """Call a script. A server that has them not (new, flushed) is given all of them."""
        packed = pack_call(self._library.functions[name], key, words)
        try:
            return await self._connected().send(packed, key)
        except (ResponseError, StateUnavailable) as error:
            if NOT_LOADED not in str(error):
                raise refused(error, self._place) from error
        await self._load(key)
        return await self._send(packed, key)

    async def command(self, *words: bytes) -> Reply:
        """Send a plain command; its second word, if it has one, is its key."""
        return await self._send(pack(*words), words[1] if len(words) > 1 else None)

    async def wait(self, seconds: int, *words: bytes) -> Reply:
        """Send a command that waits in Redis for so many seconds at most, on a connection of its own."""
        if self._waiting is None:
            patience = seconds + self._timeout
            self._waiting = link_to(self._location, patience=patience, timeout=self._timeout)
        try:
            return await self._waiting.send(pack(*words, b"%d" % seconds), words[1])
        except (ResponseError, StateUnavailable) as error:
            raise refused(error, self._place) from error

    async def attempt(self, *words: bytes) -> list[Reply]:
        """Send a plain command to every server; `None` for an answer where this user may not ask."""
        try:
            return await self._connected().everywhere(pack(*words))
        except ResponseError:
            return [None]

    async def learn_epochs(self) -> None:
        """Read the epochs that this process does not know yet."""
        found = await asyncio.gather(
            *(self.command(b"GET", self.keys.of_shard("epoch", shard)) for shard in range(self.shards))
        )
        self._epochs = [known or new or b"" for known, new in zip(self._epochs, found, strict=True)]

    async def initialised(self) -> bool:
        """Whether every shard has an epoch now, whatever this process knew."""
        found = await asyncio.gather(
            *(self.command(b"EXISTS", self.keys.of_shard("epoch", shard)) for shard in range(self.shards))
        )
        return all(found)

    async def initialise(self) -> str:
        """Fix the number of shards and write one epoch into the shards that have none."""
        await self.command(b"SET", self.keys.shards(), b"%d" % self.shards, b"NX")
        await self.check_shards()
        first = await self.command(b"GET", self.keys.of_shard("epoch", 0))
        epoch = first or secrets.token_hex(8).encode()
        for shard in range(self.shards):
            await self.command(b"SET", self.keys.of_shard("epoch", shard), epoch, b"NX")
        await self.learn_epochs()
        return self._epochs[0].decode()

    async def check_shards(self) -> None:
        """Refuse to work with another number of shards than the namespace was made with."""
        fixed = await self.command(b"GET", self.keys.shards())
        if fixed is not None and int(fixed) != self.shards:
            raise SettingsError(
                f"This namespace has {int(fixed)} shards in Redis, and the setting says {self.shards}.",
                remedy=f"Set PAVANE_SHARDS={int(fixed)}: the number is fixed for the life of a namespace.",
            )

    async def _send(self, packed: bytes, key: bytes | None) -> Reply:
        try:
            return await self._connected().send(packed, key)
        except (ResponseError, StateUnavailable) as error:
            raise refused(error, self._place) from error

    def _connected(self) -> Link:
        if self._link is None:
            self._link = link_to(self._location, patience=self._timeout, timeout=self._timeout)
        return self._link

    async def _load(self, key: bytes) -> None:
        """Send the library to the server of a key, once for all who miss it at the same time."""
        whose = key if self._location.kind == "cluster" else b""
        loading = self._loading.get(whose)
        if loading is None:
            loading = self._loading[whose] = asyncio.create_task(self._send_library(key))
            loading.add_done_callback(lambda done: self._loaded(whose, done))
        await asyncio.shield(loading)

    async def _send_library(self, key: bytes) -> None:
        try:
            await self._connected().send(pack(b"FUNCTION", b"LOAD", self._library.body), key)
        except (ResponseError, StateUnavailable) as error:
            if LOADED_ALREADY not in str(error):  # by another process, meanwhile
                raise refused(error, self._place) from error

    def _loaded(self, whose: bytes, done: asyncio.Task[None]) -> None:
        self._loading.pop(whose, None)
        if not done.cancelled():
            done.exception()  # whoever still waits for it is told; nobody need be left who does
