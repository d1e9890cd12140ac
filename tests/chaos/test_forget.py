"""Taking back what Redis has acknowledged: whole transactions, the last ones, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.chaos.storm.forget import forget_last
from tests.servers import KEEPS_ALL, RedisServer

RECORDS = [f"ns:{{s00}}:run:flow:{number}" for number in range(4)]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(options=KEEPS_ALL) as server:
        yield server


def test_the_last_transactions_are_forgotten_as_a_whole_and_their_records_named(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("ns:{s00}:epoch", "e")
        for record in RECORDS[:3]:
            client.hset(record, "head", "binary \r\n*1\r\n")
        with client.pipeline(transaction=True) as together:
            together.hset(RECORDS[3], "head", "h")
            together.zadd("ns:{s00}:due", {"flow:3": 1})
            together.execute()
    assert forget_last(server, 2) == {"flow:2", "flow:3"}
    with redis.Redis.from_url(server.url) as client:
        assert [bool(client.exists(record)) for record in RECORDS] == [True, True, False, False]
        assert not client.exists("ns:{s00}:due")
        assert client.get("ns:{s00}:epoch") == b"e"
