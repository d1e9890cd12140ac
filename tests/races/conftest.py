"""A namespace on real servers, with the program of the crash tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.stage import Stage, set_up
from tests.servers import RabbitServer, RedisServer


@pytest.fixture
async def stage(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Stage]:
    async with set_up(rabbit.url, redis_server.url, tmp_path) as stage:
        await stage.prepare()
        yield stage
