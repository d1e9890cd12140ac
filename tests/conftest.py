"""Fixtures for all tests: servers of this session, started when first asked for, and a namespace per test."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.servers import (
    PostgresServer,
    RabbitServer,
    RedisServer,
    shared_postgres,
    shared_rabbit,
    shared_redis,
)


def pytest_configure() -> None:
    # Without this a SIGTERM would end the interpreter before its exit handlers, and leave servers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    """A broker shared by the session: keep to your own `namespace`, and do not stop it."""
    server = shared_rabbit()
    yield server.start()
    server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A store shared by the session: keep to your own `namespace`, and do not stop it."""
    server = shared_redis()
    yield server.start()
    server.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A database server shared by the session: make your own databases, and do not stop it."""
    server = shared_postgres()
    yield server.start()
    server.close()


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"t{secrets.token_hex(8)}"
