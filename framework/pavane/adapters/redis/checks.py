"""What a server must be before pavane entrusts it with records."""

from __future__ import annotations

import re

from pavane.adapters.redis.server import Server
from pavane.errors import SettingsError

OLDEST = (7, 0)


async def check_server(server: Server) -> None:
    """Refuse a server that is too old, or that throws keys away when its memory is full.

    Raises:
        SettingsError: with the command that mends it.
    """
    check_version(await server.attempt(b"INFO", b"server"))
    check_eviction(await server.attempt(b"CONFIG", b"GET", b"maxmemory-policy"))


def check_version(info: bytes | None) -> None:
    """`info` is the server's section of INFO; Valkey gives the version of Redis that it is compatible with."""
    found = re.search(rb"redis_version:(\d+)\.(\d+)", info or b"")
    if found is None:  # this user may not ask
        return
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        raise SettingsError(
            f"This is Redis {version[0]}.{version[1]}; pavane needs {OLDEST[0]}.{OLDEST[1]} or later.",
            remedy="Upgrade the server that PAVANE_STATE_URL names.",
        )


def check_eviction(answer: list[bytes] | None) -> None:
    """`answer` is that of CONFIG GET; a server that forbids the question cannot be judged here."""
    if not answer:
        return
    policy = answer[1].decode()
    if policy != "noeviction":
        raise SettingsError(
            f"Redis has maxmemory-policy {policy}: it would throw away the records of living runs.",
            remedy="Run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf.",
        )
