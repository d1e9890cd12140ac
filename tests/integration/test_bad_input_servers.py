"""A start with settings or servers that cannot be used is refused with its code, and shows no password."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from pavane import Client, PavaneError, Settings, StateLost
from pavane.cli.exits import code_of
from tests.bad_input import servers, shop
from tests.bad_input.servers import CASES, SECRET, BadServer
from tests.servers import RabbitServer, RedisServer, free_port

ROOT = Path(__file__).resolve().parents[2]
SHORT = (
    "only one of the two",
    "a broker URL of another scheme",
    "nobody listens where RabbitMQ should be",
    "nobody listens where Redis should be",
    "a wrong user or password for RabbitMQ",
)
"""Whose command is run as well, in a process of its own."""


@pytest.fixture
def private_redis() -> Iterator[RedisServer]:
    """A store that a test may spoil."""
    with RedisServer() as server:
        yield server


async def refusal(**settings: object) -> PavaneError:
    """The error that a start with these settings ends with."""
    with pytest.raises(PavaneError) as refused:
        async with shop.app.running(Settings(**settings)):  # type: ignore[arg-type]
            raise AssertionError("it started")
    return refused.value


async def it_works(rabbit: RabbitServer, state_url: str, namespace: str) -> None:
    """The same App starts on good servers, and a message is handled."""
    settings = Settings(broker_url=rabbit.url, state_url=state_url, namespace=namespace, shards=2)
    async with shop.app.running(settings) as client:
        run = await client.start(shop.orders, shop.Placed(order="good"))
        await client.emit(shop.Paid(order="good", amount=1), run=run)
        assert (await run.wait(30)).status == "completed"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
async def test_a_start_with_such_urls_is_refused(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str, case: BadServer
) -> None:
    broker_url, state_url = case.urls(rabbit.url, redis_server.url, free_port())
    async with asyncio.timeout(15):
        error = await refusal(broker_url=broker_url, state_url=state_url, namespace=namespace)
    assert error.code == case.code
    assert case.says in str(error)
    assert case.advises in error.remedy
    assert SECRET not in f"{error} {error!r} {error.remedy} {error.__cause__!r} {error.__context__!r}"


OF_EACH_CODE = [case for case in CASES if case.what in SHORT]


@pytest.mark.parametrize("words", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("case", OF_EACH_CODE, ids=lambda case: case.what)
async def test_the_command_ends_with_its_exit_code_and_says_what_to_do(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str, case: BadServer, words: list[str]
) -> None:
    broker_url, state_url = case.urls(rabbit.url, redis_server.url, free_port())
    given = {"PAVANE_BROKER_URL": broker_url, "PAVANE_STATE_URL": state_url, "PAVANE_NAMESPACE": namespace}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pavane.cli", *words, "run", "tests.bad_input.shop:app"),
        env=inherited | {name: value for name, value in given.items() if value is not None},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    said = output.decode()
    assert process.returncode == case.exit_code, said
    assert SECRET not in said
    assert "Traceback" not in said
    if words:
        error = json.loads(said)["error"]
        assert error.keys() == {"code", "message", "remedy"}
        assert error["code"] == case.code
        assert case.says in error["message"]
        assert case.advises in error["remedy"]
    else:
        assert said.startswith("Error: ")
        assert case.advises in said


async def test_a_wrong_password_for_redis_is_refused(
    rabbit: RabbitServer, private_redis: RedisServer, namespace: str
) -> None:
    right = "the right one"
    with Redis.from_url(private_redis.url) as admin:
        admin.config_set("requirepass", right)
    place = private_redis.url.removeprefix("redis://")
    for credentials in ("", f":{SECRET}@", f"nobody:{SECRET}@"):
        error = await refusal(
            broker_url=rabbit.url, state_url=f"redis://{credentials}{place}", namespace=namespace
        )
        assert error.code == servers.WRONG_PASSWORD.code
        assert "password" in str(error)
        assert "`redis-cli --user NAME --askpass PING`" in error.remedy
        assert SECRET not in f"{error!r} {error.__cause__!r} {error.__context__!r}"
    await it_works(rabbit, f"redis://:{right.replace(' ', '%20')}@{place}", namespace)


async def test_a_redis_without_memory_is_refused_with_the_command_that_mends_it(
    rabbit: RabbitServer, private_redis: RedisServer, namespace: str
) -> None:
    urls = (rabbit.url, private_redis.url)
    with Redis.from_url(private_redis.url) as admin:
        admin.config_set("maxmemory", "1mb")
        at_once = await refusal(broker_url=urls[0], state_url=urls[1], namespace=namespace)
        admin.config_set("maxmemory", "0")
        await it_works(rabbit, private_redis.url, namespace)
        admin.config_set("maxmemory", "1mb")
        settings = Settings(broker_url=urls[0], state_url=urls[1], namespace=namespace, shards=2)
        async with Client(settings) as client:
            with pytest.raises(PavaneError) as later:
                await client.start(shop.orders, shop.Placed(order="one_more"))
        for error in (at_once, later.value):
            assert error.code == servers.FULL.code
            assert f"its memory is full [127.0.0.1:{private_redis.port}" in str(error)
            assert "`redis-cli INFO memory`" in error.remedy
        command = at_once.remedy.split("`redis-cli CONFIG SET ")[1].split("`")[0]
        assert admin.execute_command("CONFIG", "SET", *command.split())
    await it_works(rabbit, private_redis.url, f"{namespace}_again")


async def test_a_replica_is_refused(
    rabbit: RabbitServer, redis_server: RedisServer, private_redis: RedisServer, namespace: str
) -> None:
    with Redis.from_url(private_redis.url) as admin:
        admin.replicaof("127.0.0.1", str(redis_server.port))
        error = await refusal(broker_url=rabbit.url, state_url=private_redis.url, namespace=namespace)
        admin.replicaof("NO", "ONE")
    assert error.code == servers.REPLICA.code
    assert "is a read-only replica [" in str(error)
    assert "Name the master in PAVANE_STATE_URL" in error.remedy


async def test_a_redis_that_evicts_is_refused_with_the_command_that_mends_it(
    rabbit: RabbitServer, namespace: str
) -> None:
    with RedisServer(options={"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}) as evicting:
        error = await refusal(broker_url=rabbit.url, state_url=evicting.url, namespace=namespace)
        assert error.code == servers.EVICTS.code
        assert "maxmemory-policy allkeys-lru" in str(error)
        assert error.remedy in servers.EVICTS.remedy.replace("`redis-cli", "Run `redis-cli")
        with pytest.raises(PavaneError, match="maxmemory-policy"):
            async with Client(Settings(broker_url=rabbit.url, state_url=evicting.url, namespace=namespace)):
                raise AssertionError("it connected")
        with Redis.from_url(evicting.url) as admin:
            assert admin.execute_command(*error.remedy.split("`")[1].split()[1:])
        await it_works(rabbit, evicting.url, namespace)


@pytest.mark.fault("R5")
async def test_strict_durability_is_refused_where_redis_may_lose_a_second(
    rabbit: RabbitServer, private_redis: RedisServer, namespace: str
) -> None:
    urls = {"broker_url": rabbit.url, "state_url": private_redis.url}
    error = await refusal(**urls, namespace=namespace, durability="strict")
    assert error.code == servers.NOT_STRICT.code
    assert "appendfsync everysec" in str(error)
    assert error.remedy == f"Run {servers.NOT_STRICT.remedy}"


async def test_another_number_of_shards_is_refused(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str
) -> None:
    await it_works(rabbit, redis_server.url, namespace)
    error = await refusal(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace, shards=3)
    assert error.code == servers.OTHER_SHARDS.code
    assert "PAVANE_SHARDS=2" in error.remedy


async def test_an_emptied_redis_is_refused(
    rabbit: RabbitServer, private_redis: RedisServer, namespace: str
) -> None:
    await it_works(rabbit, private_redis.url, namespace)
    with Redis.from_url(private_redis.url) as admin:
        admin.flushall()
    error = await refusal(broker_url=rabbit.url, state_url=private_redis.url, namespace=namespace)
    assert isinstance(error, StateLost)
    assert (error.code, code_of(error)) == (servers.EMPTIED.code, 5)
    assert "pavane topology apply --new-epoch" in error.remedy
