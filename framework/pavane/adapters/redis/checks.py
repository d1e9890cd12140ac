"""What a server must be before pavane entrusts it with records."""

from __future__ import annotations

import re

from pavane.adapters.redis.server import Server
from pavane.errors import SettingsError

OLDEST = (7, 0)


async def check_server(server: Server, *, strict: bool) -> None:
    """Refuse a server that is too old, or that throws keys away when its memory is full.

    Args:
        strict: refuse one as well that does not write each commit to its disk before it answers.

    Raises:
        SettingsError: with the command that mends it.
    """
    for info in await server.attempt(b"INFO", b"server"):
        check_version(info)
    for info in await server.attempt(b"INFO", b"memory"):
        check_eviction(info)
    if strict:
        appendonly = await server.attempt(b"CONFIG", b"GET", b"appendonly")
        appendfsync = await server.attempt(b"CONFIG", b"GET", b"appendfsync")
        for answers in zip(appendonly, appendfsync, strict=True):
            check_durability(*answers)


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


def check_eviction(info: bytes | None) -> None:
    """`info` is the section on memory, which more users may read than the configuration."""
    found = re.search(rb"maxmemory_policy:([\w-]+)", info or b"")
    if found is None:  # this user may not ask
        return
    policy = found[1].decode()
    if policy != "noeviction":
        raise SettingsError(
            f"Redis has maxmemory-policy {policy}: it would throw away the records of living runs.",
            remedy="Run `redis-cli CONFIG SET maxmemory-policy noeviction`, and set it in redis.conf.",
        )


def check_durability(appendonly: list[bytes] | None, appendfsync: list[bytes] | None) -> None:
    """What was asked for must be seen: a server that forbids the question is refused too."""
    found = [answer[1].decode() if answer else "unknown" for answer in (appendonly, appendfsync)]
    if found != ["yes", "always"]:
        raise SettingsError(
            f"PAVANE_DURABILITY is strict, and Redis has appendonly {found[0]}, appendfsync {found[1]}: "
            "it could lose what it has acknowledged.",
            remedy=(
                "Run `redis-cli CONFIG SET appendonly yes` and `redis-cli CONFIG SET appendfsync always`, "
                "and set both in redis.conf."
            ),
        )
