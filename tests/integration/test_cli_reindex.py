"""`pavane dlq reindex` after Redis has lost what it knew of dead letters, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from pavane.core.envelope import LETTER
from tests.integration.bank import SAID, Bank, open_bank
from tests.integration.scale_shop import WORKER
from tests.servers import RabbitServer, RedisServer


@pytest.fixture
async def bank(rabbit: RabbitServer, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Bank]:
    async with open_bank(rabbit, redis_server, tmp_path) as bank:
        yield bank


async def forget(bank: Bank, redis_server: RedisServer) -> None:
    """All but the epoch and what the services have said is lost."""
    namespace = bank.settings.namespace
    async with Redis.from_url(redis_server.url, decode_responses=True) as redis:
        keys = [key async for key in redis.scan_iter(f"{namespace}:{{*", count=1000)]
        await redis.delete(*(key for key in keys if not key.endswith(":epoch")))


async def test_what_lies_in_the_queues_is_listed_again_and_can_be_redriven(
    bank: Bank, redis_server: RedisServer
) -> None:
    letters = await bank.fill(250)
    await forget(bank, redis_server)
    assert await bank.listed() == 0
    done = await bank.cli("dlq", "reindex", *SAID, "--json")
    assert (done.code, done.document) == (0, {"indexed": 250, "removed": 0}), done
    again = await bank.cli("dlq", "reindex", *SAID)
    assert (again.code, again.out) == (0, "0 indexed, 0 removed\n")
    listed = (await bank.cli("dlq", "ls", "--limit", "1000", "--json")).document["items"]
    assert sorted(item["id"] for item in listed) == sorted(letters)
    assert {(item["worker"], item["reason"]) for item in listed} == {(WORKER, "rejected")}
    taken = await bank.broker.take(bank.dead, 300)
    assert [delivery.message.headers[LETTER] for delivery in taken] == letters
    assert {delivery.delivery_count for delivery in taken} == {0}
    await bank.broker.give_back()
    assert (await bank.cli("dlq", "redrive", "--all", *SAID)).code == 0
    await bank.worked_off(250)
    assert [number for number, _ in bank.ledger.rows()] == list(range(250))
    audit = await bank.audit()
    assert [(line["action"], line["outcome"], line["by"]) for line in audit[:2]] == [
        ("dlq reindex", "begun", "operator-1"),
        ("dlq reindex", "done", "operator-1"),
    ]
    assert sorted(audit[1]["subjects"]) == sorted(letters)
