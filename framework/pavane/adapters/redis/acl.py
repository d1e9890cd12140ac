"""Pure: users of Redis that reach the keys of one namespace, by the commands that pavane uses and no others.

Runs are shared by the services that take part in them, so the users of services differ in their names only:
each can be taken away by itself. None has a password. `CONFIG GET` is the operator's alone: it tells the
passwords of the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pavane.core.access import operator_user, outside_user, users_of

COMMANDS: Final = (
    *("ping", "time", "info", "fcall", "function|load"),
    *("get", "set", "exists", "del", "type", "persist", "pexpire", "pexpireat"),
    *("hget", "hmget", "hgetall", "hkeys", "hexists", "hlen", "hset", "hdel"),
    *("lrange", "llen", "ltrim", "rpush", "sadd", "srem", "smembers"),
    *("zadd", "zrem", "zremrangebyscore", "zcard", "zscore", "zrange", "zrangebyscore", "zrevrangebyscore"),
    *("zpopmin", "bzpopmin", "xadd", "xrevrange", "cluster|slots", "asking"),
)
"""What is called, by processes and by scripts: a script may do what its caller may."""

OPERATORS: Final = ("config|get",)


def acl_lines(namespace: str, services: Sequence[str]) -> tuple[str, ...]:
    """Lines of an ACL file: a user for each service, one for clients and other systems, one for operators."""
    users = [*users_of(namespace, services).values(), outside_user(namespace)]
    return (
        *(_line(namespace, user, COMMANDS) for user in users),
        _line(namespace, operator_user(namespace), (*COMMANDS, *OPERATORS)),
    )


def _line(namespace: str, user: str, commands: Iterable[str]) -> str:
    permitted = " ".join(f"+{command}" for command in commands)
    return f"user {user} on resetchannels ~{namespace}:* -@all {permitted}"
