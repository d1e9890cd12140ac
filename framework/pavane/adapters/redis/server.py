"""The server as the rest of this package sees it: scripts that are there, shards whose epoch is known.

Every process keeps the epoch of each shard as it first saw it. A shard that answers with another one, or with
none, has forgotten what it acknowledged: nothing goes on until somebody has decided what to do about that.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from pavane.adapters.redis.border import place_of, refused, state_lost, unavailable
from pavane.adapters.redis.documents import Blobs, Document, to_json
from pavane.adapters.redis.keys import Keys
from pavane.adapters.redis.scripting import Library, pack_call
from pavane.adapters.redis.wire import Reply, Wire, pack
from pavane.errors import SettingsError, StateUnavailable

CONNECTIONS = 1
"""While a batch is away the next one gathers. Two connections made batches half as long: a chain of steps took a
tenth more of the processor and was no faster."""

NOT_LOADED = "Function not found"
LOADED_ALREADY = "already exists"


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
        self._pool = pool(url, timeout)
        self._place = place_of(self._pool.connection_kwargs)
        self._timeout = timeout
        self._first_contact = min(timeout, first_contact)
        self._library = library
        self._loading: asyncio.Task[None] | None = None
        self._epochs: list[bytes] = [b""] * shards
        self._wire: Wire | None = None

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
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

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
            return await self._connected().send(packed)
        except (ResponseError, StateUnavailable) as error:
            if NOT_LOADED not in str(error):
                raise refused(error, self._place) from error
        await self._load()
        return await self._send(packed)

    async def command(self, *words: bytes) -> Reply:
        """Send a plain command."""
        return await self._send(pack(*words))

    async def attempt(self, *words: bytes) -> Reply:
        """Send a plain command that this user may not be allowed to; `None` if Redis refuses it."""
        try:
            return await self._connected().send(pack(*words))
        except ResponseError:
            return None

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

    async def _send(self, packed: bytes) -> Reply:
        try:
            return await self._connected().send(packed)
        except (ResponseError, StateUnavailable) as error:
            raise refused(error, self._place) from error

    def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = Wire(self._pool.make_connection, timeout=self._timeout, connections=CONNECTIONS)
        return self._wire

    async def _load(self) -> None:
        """Send the library, once for all who miss it at the same time."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._send_library())
            self._loading.add_done_callback(self._loaded)
        await asyncio.shield(self._loading)

    async def _send_library(self) -> None:
        try:
            await self._connected().send(pack(b"FUNCTION", b"LOAD", self._library.body))
        except (ResponseError, StateUnavailable) as error:
            if LOADED_ALREADY not in str(error):  # by another process, meanwhile
                raise refused(error, self._place) from error

    def _loaded(self, done: asyncio.Task[None]) -> None:
        self._loading = None
        if not done.cancelled():
            done.exception()  # whoever still waits for it is told; nobody need be left who does


def pool(url: str, timeout: float) -> ConnectionPool:
    """Makes connections. redis-py never repeats anything by itself: the deadline is ours."""
    scheme = urlsplit(url).scheme
    if "+" in scheme:
        raise SettingsError(
            f"PAVANE_STATE_URL: {scheme}:// is not supported by this version.",
            remedy="Give the URL of one server, redis:// or rediss://.",
        )
    try:
        return ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, protocol=2, retry=Retry(NoBackoff(), 0), socket_connect_timeout=timeout, socket_timeout=None
        )
    except (ValueError, RedisError) as error:
        raise SettingsError("PAVANE_STATE_URL cannot be used: it is not the URL of a Redis.") from error
