"""Private RabbitMQ, Redis and PostgreSQL servers for tests, the first two with the configuration in `deploy/`.

Each instance has free ports on the loopback address, a data folder and (RabbitMQ) a node name of its own, so
several test runs go side by side and the system's servers are never touched. `kill` is SIGKILL to the real
server process; `start` after `kill` or `stop` comes up on the same port with the same data. All calls block
until what they promise is true: in a running event loop wrap them, `await asyncio.to_thread(server.restart)`.

What was started here is ended when the interpreter exits, by process id. A server whose URL is given
(`RabbitServer(url=...)`, from PAVANE_TEST_BROKER_URL, PAVANE_TEST_STATE_URL and PAVANE_TEST_DATABASE_URL) is
used as it is and cannot be stopped: a test that kills servers makes a private one.
"""

from __future__ import annotations

import os

from tests.servers.postgresql import PostgresServer
from tests.servers.process import ServerError, free_port, process_is_gone
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import KEEPS_ALL, RedisServer

__all__ = [
    "KEEPS_ALL",
    "PostgresServer",
    "RabbitServer",
    "RedisServer",
    "ServerError",
    "free_port",
    "process_is_gone",
    "shared_postgres",
    "shared_rabbit",
    "shared_redis",
]


def shared_rabbit() -> RabbitServer:
    """The broker of PAVANE_TEST_BROKER_URL, else a private one; not yet started."""
    return RabbitServer(url=os.environ.get("PAVANE_TEST_BROKER_URL") or None)


def shared_redis() -> RedisServer:
    """The store of PAVANE_TEST_STATE_URL, else a private one; not yet started."""
    return RedisServer(url=os.environ.get("PAVANE_TEST_STATE_URL") or None)


def shared_postgres() -> PostgresServer:
    """The database server of PAVANE_TEST_DATABASE_URL, else a private one; not yet started."""
    return PostgresServer(url=os.environ.get("PAVANE_TEST_DATABASE_URL") or None)
