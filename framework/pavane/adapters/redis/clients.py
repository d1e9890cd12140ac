"""Plain clients of redis-py for every server that holds a part of the state, to ask each about itself."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from pavane.adapters.redis.cluster import Cluster
from pavane.adapters.redis.nodes import Location, Node, connections_to, locate, pool_of, sentinel_of


async def servers(urls: str, timeout: float) -> list[tuple[str, Any]]:
    """The server, the master that the sentinels name, or the masters of the cluster: its place, and a client of it.

    The caller closes the clients. Typed as `Any` because the library's own annotations are incomplete.

    Args:
        urls: as in `PAVANE_STATE_URL`.
        timeout: seconds that each answer may take.

    Raises:
        SettingsError, StateUnavailable, RedisError: nobody can say which they are.
    """
    location = locate(urls)
    nodes: list[Node] = list(location.nodes)
    if location.kind == "sentinel":
        nodes = [await _master(location, timeout)]
    elif location.kind == "cluster":
        nodes = await _masters(location, timeout)
    return [(f"{host}:{port}", _client(location, (host, port), timeout)) for host, port in nodes]


async def _master(location: Location, timeout: float) -> Node:
    sentinel = sentinel_of(location, timeout)
    try:
        found: Node = await sentinel.discover_master(location.master)
        return found
    finally:
        for client in sentinel.sentinels:
            await client.aclose()


async def _masters(location: Location, timeout: float) -> list[Node]:
    cluster = Cluster(location.nodes, lambda node: connections_to(location, node, timeout), timeout=timeout)
    try:
        return await cluster.masters()
    finally:
        await cluster.close()


def _client(location: Location, node: Node, timeout: float) -> Any:
    pool = pool_of(location, node, timeout, socket_timeout=timeout, decode_responses=True)
    return Redis(connection_pool=pool)
