"""A private Redis."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from tests.servers.process import DEPLOY, HOST, PrivateServer, ServerError, answers, free_port

KEEPS_ALL = {"appendfsync": "always"}
"""Options for a server that is killed while it must lose nothing. With `everysec` Redis answers before it writes
while an fsync is under way (aof.c, up to two seconds): a kill then takes back what it has acknowledged."""


class RedisServer(PrivateServer):
    """A Redis with `deploy/redis/redis.conf`: append-only file, fsync every second, nothing evicted.

    Args:
        url: use this server instead of starting one.
        options: further settings, e.g. `{"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"}`.
    """

    name = "redis"

    def __init__(self, *, url: str | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__(url)
        self._url = url
        self._options = dict(options or {})
        if not self.external:
            self.port = free_port()

    @property
    def url(self) -> str:
        return self._url or f"redis://{HOST}:{self.port}/0"

    def _command(self) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerError("redis-server is missing: run make setup, or set PAVANE_TEST_STATE_URL")
        settings = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(self.folder),
            "daemonize": "no",
        } | self._options
        overrides = [word for key, value in settings.items() for word in (f"--{key}", value)]
        # A copy: a server rewrites the file that it was started with (CONFIG REWRITE; every failover of Sentinel).
        configuration = self.folder / "redis.conf"
        if not configuration.exists():
            shutil.copy(DEPLOY / "redis" / "redis.conf", configuration)
        return [program, str(configuration), *overrides]

    def _is_ready(self) -> bool:
        return answers(self.port, b"PING\r\n", b"+PONG")
