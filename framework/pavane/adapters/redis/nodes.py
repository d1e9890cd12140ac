"""From `PAVANE_STATE_URL` to connections: one server, a master that sentinels name, or the nodes of a cluster.

    redis://host:6379/0                                          rediss:// with TLS, here as below
    redis+sentinel://one:26379/mymaster/0,redis+sentinel://two:26379/mymaster
    redis+cluster://one:7000,redis+cluster://two:7000            any of its nodes; the others are learnt from it

User, password and options are those of the first URL; `?sentinel_username=` and `?sentinel_password=` are for the
sentinels. redis-py never repeats anything by itself here: the deadline is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from pavane.errors import SettingsError

Node = tuple[str, int]
"""Host and port."""

USUAL_PORTS = {"one": 6379, "sentinel": 26379, "cluster": 6379}
OF_SENTINELS = "sentinel_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the state is kept.

    Attributes:
        nodes: the server, the sentinels, or some nodes of the cluster.
        master: what the sentinels call it.
        options: of a connection, as redis-py names them; they hold the password.
        sentinel_options: the same, of a connection to a sentinel.
    """

    kind: Literal["one", "sentinel", "cluster"]
    nodes: tuple[Node, ...]
    tls: bool
    master: str
    options: dict[str, Any]
    sentinel_options: dict[str, Any]

    @property
    def place(self) -> str:
        """For people: where it is, without who asks."""
        nodes = ", ".join(f"{host}:{port}" for host, port in self.nodes)
        if self.kind == "sentinel":
            return f"master {self.master} of the sentinels {nodes}, database {self.options.get('db', 0)}"
        if self.kind == "cluster":
            return f"the cluster of {nodes}"
        return f"{nodes}, database {self.options.get('db', 0)}"


def locate(urls: str) -> Location:
    """
    Raises:
        SettingsError: the URLs name different things, or one of them nothing.
    """
    parts = [urlsplit(url.strip()) for url in urls.split(",")]
    if len({part.scheme for part in parts}) > 1:
        raise SettingsError("PAVANE_STATE_URL: all its URLs have to start alike.")
    base, _, kind = parts[0].scheme.partition("+")
    if kind not in ("", "sentinel", "cluster"):
        raise SettingsError(f"PAVANE_STATE_URL: {parts[0].scheme}:// is not known.")
    if not kind and len(parts) > 1:
        raise SettingsError(
            "PAVANE_STATE_URL names several servers.",
            remedy="Name one; or say redis+sentinel:// or redis+cluster:// if they belong together.",
        )
    try:
        found = dict[str, Any](parse_url(parts[0]._replace(scheme=base).geturl()))
        nodes = tuple(
            (part.hostname or "localhost", part.port or USUAL_PORTS[kind or "one"]) for part in parts
        )
    except (ValueError, RedisError) as error:
        raise SettingsError("PAVANE_STATE_URL cannot be used: it is not the URL of a Redis.") from error
    for named in ("host", "port", "connection_class"):
        found.pop(named, None)
    of_sentinels = {
        key.removeprefix(OF_SENTINELS): found.pop(key) for key in list(found) if key.startswith(OF_SENTINELS)
    }
    location = Location(
        kind="sentinel" if kind == "sentinel" else "cluster" if kind == "cluster" else "one",
        nodes=nodes,
        tls=base == "rediss",
        master="",
        options=found,
        sentinel_options=of_sentinels,
    )
    return _named(location, parts[0].path) if kind == "sentinel" else location


def _named(location: Location, path: str) -> Location:
    """With the master's name and the database, which a sentinel's URL has in its path."""
    master, _, database = path.strip("/").partition("/")
    if not master or (database and not database.isdecimal()):
        raise SettingsError(
            "PAVANE_STATE_URL: a sentinel's URL ends with the name of the master.",
            remedy="Write redis+sentinel://host:26379/mymaster, or .../mymaster/0 with a database.",
        )
    options = location.options | ({"db": int(database)} if database else {})
    return Location(
        kind=location.kind,
        nodes=location.nodes,
        tls=location.tls,
        master=master,
        options=options,
        sentinel_options=location.sentinel_options,
    )


def connections(location: Location, timeout: float) -> Callable[[], AbstractConnection]:
    """Makes connections, not yet connected, to the server or to whatever is the master when they connect."""
    if location.kind == "sentinel":
        return _to_master(location, timeout)
    return connections_to(location, location.nodes[0], timeout)


def connections_to(location: Location, node: Node, timeout: float) -> Callable[[], AbstractConnection]:
    """The same, to one node of a cluster."""
    return pool_of(location, node, timeout).make_connection


def pool_of(location: Location, node: Node, timeout: float, **options: Any) -> ConnectionPool:
    """What makes connections to a node; `options` as redis-py names them."""
    host, port = node
    return ConnectionPool(
        connection_class=SSLConnection if location.tls else Connection,
        host=host,
        port=port,
        **_options(location.options, timeout) | options,
    )


def sentinel_of(location: Location, timeout: float) -> Any:
    """The sentinels, to be asked for the master; typed as `Any` because the library's annotations are incomplete."""
    # One that does not answer must leave time for the others.
    share = timeout / (len(location.nodes) + 1)
    asked: dict[str, Any] = {"socket_timeout": share} | _options(location.sentinel_options, share)
    make = cast("Callable[..., Any]", Sentinel)
    return make(location.nodes, sentinel_kwargs=asked | ({"ssl": True} if location.tls else {}))


def _to_master(location: Location, timeout: float) -> Callable[[], AbstractConnection]:
    make = cast("Callable[..., Any]", SentinelConnectionPool)
    options = _options(location.options, timeout)
    pool = make(location.master, sentinel_of(location, timeout), ssl=location.tls, **options)
    # A bound method, which keeps the pool: connections know it weakly.
    connect: Callable[[], AbstractConnection] = pool.make_connection
    return connect


def _options(given: dict[str, Any], timeout: float) -> dict[str, Any]:
    return {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": timeout,
        "socket_timeout": None,
    } | given
