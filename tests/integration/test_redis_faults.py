"""What a Redis that dies, forgets, fills up or is misconfigured does to the store, and what it does not do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.adapters.redis.keys import Keys
from pavane.adapters.redis.scripting import FOLDER, load_library
from pavane.core.answers import Committed, Granted, Leased, Released, Renewed, Retrying
from pavane.core.calls import Release, Renew
from pavane.errors import InfrastructureError, SettingsError, StateLost, StateUnavailable
from pavane.ports.store import RunQuery
from pavane.testing.conformance.store_stage import HOUR, Stage
from tests.servers import KEEPS_ALL, RedisServer, free_port

TIMEOUT = 2.0


@pytest.fixture
def private() -> Iterator[RedisServer]:
    """A server that this test may kill."""
    with RedisServer(options=KEEPS_ALL) as server:
        yield server


@pytest.fixture
async def store(private: RedisServer) -> AsyncIterator[RedisStore]:
    store = made(private.url)
    await store.open()
    await store.initialise()
    yield store
    await store.close()


def made(url: str, namespace: str = "orders", **changed: int) -> RedisStore:
    return RedisStore(url, namespace=namespace, shards=changed.get("shards", 4), timeout=TIMEOUT)


async def outage(store: RedisStore) -> StateUnavailable:
    """The error of a call while the server is away."""
    with pytest.raises(StateUnavailable) as raised:
        await store.now()
    return raised.value


@pytest.mark.parametrize("kill", [False, True])
@pytest.mark.fault("R1")
async def test_the_store_is_unavailable_while_the_server_is_away_and_works_again_after(
    private: RedisServer, store: RedisStore, kill: bool
) -> None:
    stage = await Stage.built(store)
    grant = await stage.granted()
    await asyncio.to_thread(private.kill if kill else private.stop)
    assert "Redis cannot be reached: connection refused [127.0.0.1:" in str(await outage(store))
    with pytest.raises(StateUnavailable):
        await stage.commit(stage.job(), grant.token, "mid")
    await asyncio.to_thread(private.start)
    assert isinstance(await stage.commit(stage.job(), grant.token, "mid"), Committed)
    assert await store.initialised()


@pytest.mark.fault("R1", "R9")
async def test_the_first_call_after_a_restart_is_answered(private: RedisServer, store: RedisStore) -> None:
    stage = await Stage.built(store)
    await asyncio.to_thread(private.restart, kill=True)
    assert isinstance(await stage.begin(), Granted)  # neither a dead connection nor a forgotten script shows


@pytest.mark.fault("R9")
async def test_flushed_scripts_are_loaded_again_by_whoever_misses_them(
    private: RedisServer, store: RedisStore
) -> None:
    client = redis.Redis.from_url(private.url)
    stages = [await Stage.built(store, str(number)) for number in range(50)]
    client.function_flush()
    answers = await asyncio.gather(*(stage.begin() for stage in stages))
    assert all(isinstance(answer, Granted) for answer in answers)
    assert client.info("commandstats")["cmdstat_function|load"]["calls"] == 2


async def test_nothing_of_a_call_is_left_for_the_next(private: RedisServer, store: RedisStore) -> None:
    stage = Stage(store)
    await stage.start()
    keys = Keys("orders", 4)
    shard = keys.shard(stage.run)
    client = redis.Redis.from_url(private.url)
    epoch = client.get(keys.of_shard("epoch", shard))
    again = b'{"event":{"id":"%b","name":"%b","blob":1}}' % (
        stage.first.id.encode(),
        stage.first.name.encode(),
    )
    start = load_library().functions["start"].decode()
    first, second = (client.fcall(start, 1, keys.run(stage.run, shard), epoch, again, b"") for _ in range(2))
    assert first == second
    assert len(first) == 4, "kind, fields, the next time, and the one event that is to be published"


@pytest.mark.fault("R9")
async def test_processes_of_two_versions_share_a_server(private: RedisServer, store: RedisStore) -> None:
    older = RedisStore(
        private.url, namespace="orders", shards=4, library=load_library({"clock": clock_of_another_version()})
    )
    await older.open()
    again = made(private.url)
    await again.open()  # the library that is there is not sent again
    assert len(redis.Redis.from_url(private.url).function_list("pavane_*")) == 2
    first, second = await Stage.built(store, "1"), await Stage.built(older, "2")
    assert isinstance(await first.begin(), Granted)
    assert isinstance(await second.begin(), Granted)
    await older.close()
    await again.close()


def clock_of_another_version() -> str:
    return (FOLDER / "clock.lua").read_text() + "\n-- another version"


@pytest.mark.fault("R6")
async def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(
    private: RedisServer, store: RedisStore
) -> None:
    stage = await Stage.built(store)
    private.freeze()
    loop = asyncio.get_running_loop()
    started = loop.time()
    frozen = await asyncio.gather(*(stage.begin() for _ in range(600)), return_exceptions=True)
    took = loop.time() - started
    private.thaw()
    assert {type(error) for error in frozen} == {StateUnavailable}
    assert "did not answer in time" in str(frozen[0])
    assert took < 2 * TIMEOUT + 1
    assert isinstance(await stage.begin(), Granted | Leased)  # what was on its way may have arrived


@pytest.mark.fault("R3")
async def test_a_flushed_server_is_refused_until_somebody_has_decided(
    private: RedisServer, store: RedisStore
) -> None:
    stage = await Stage.built(store)
    redis.Redis.from_url(private.url).flushall()
    for call in (
        stage.begin,
        stage.start,
        stage.tick,
        stage.read,
        lambda: store.runs(RunQuery()),
        lambda: store.letter("l"),
    ):
        with pytest.raises(StateLost) as raised:
            await call()
        assert "pavane topology apply" in raised.value.remedy
    assert not await store.initialised()
    other = made(private.url)
    await other.open()
    assert not await other.initialised()
    with pytest.raises(StateLost):
        await Stage(other).start()
    await other.initialise()
    assert (await Stage(other).start()).created
    with pytest.raises(StateLost, match="another state"):
        await stage.start()  # this process knew the old one
    await other.close()


async def test_a_process_that_looked_too_early_works_once_the_namespace_is_initialised(
    private: RedisServer,
) -> None:
    early, deployer = made(private.url), made(private.url)
    await early.open()
    with pytest.raises(StateLost):
        await Stage(early).start()
    await deployer.open()
    epoch = await deployer.initialise()
    assert (await Stage(early).start()).created
    assert await early.initialise() == epoch
    await early.close()
    await deployer.close()


async def test_calls_side_by_side_of_a_process_that_looked_too_early_all_work(private: RedisServer) -> None:
    early, deployer = made(private.url, shards=1), made(private.url, shards=1)
    await early.open()
    await deployer.open()
    await deployer.initialise()
    stages = await asyncio.gather(*(Stage.built(early, str(number)) for number in range(5)))
    assert [isinstance(await stage.begin(), Granted) for stage in stages] == [True] * 5
    await early.close()
    await deployer.close()


@pytest.mark.fault("R4")
async def test_a_full_server_takes_no_new_work_and_can_be_drained(
    private: RedisServer, store: RedisStore
) -> None:
    client = redis.Redis.from_url(private.url)
    stages = [await Stage.built(store, str(number)) for number in range(4)]
    grants = [await stage.granted() for stage in stages]
    unmarked = Stage(store, "unmarked")
    await unmarked.start()
    client.config_set("maxmemory", 1)
    with pytest.raises(StateUnavailable, match="memory is full"):
        await stages[0].begin("s.other")
    with pytest.raises(StateUnavailable):
        await Stage(store, "new").start()
    with pytest.raises(StateUnavailable):
        await stages[0].commit(stages[0].job(), grants[0].token, "mid")
    job, token = stages[0].job(), grants[0].token
    renewed = await store.renew(Renew(record=stages[0].run, step=job, token=token, lease=HOUR))
    assert isinstance(renewed, Renewed)
    released = Release(record=stages[1].run, step=job.replace("-0", "-1"), token=grants[1].token)
    assert isinstance(await store.release(released), Released)
    assert isinstance(await stages[2].fail(stages[2].job(), grants[2].token), Retrying)
    restarted = made(private.url)
    await restarted.open()
    await Stage(restarted, "unmarked").mark(unmarked.first.id)
    await restarted.close()
    assert (await unmarked.read()).outbox == {}
    await stages[0].tick()
    client.config_set("maxmemory", 0)
    assert isinstance(await stages[0].commit(job, token, "mid"), Committed)
    assert isinstance(await stages[3].commit(stages[3].job(), grants[3].token, "mid"), Committed)


@pytest.mark.fault("R4")
async def test_a_replica_and_a_server_that_cannot_write_are_unavailable(
    private: RedisServer, store: RedisStore
) -> None:
    client = redis.Redis.from_url(private.url)
    stage = await Stage.built(store)
    client.config_set("min-replicas-to-write", 1)
    with pytest.raises(StateUnavailable, match="too few replicas"):
        await stage.begin()
    client.config_set("min-replicas-to-write", 0)
    client.replicaof("127.0.0.1", str(free_port()))
    with pytest.raises(StateUnavailable):
        await stage.begin()
    client.replicaof("NO", "ONE")
    assert isinstance(await stage.begin(), Granted)


@pytest.mark.fault("R11")
async def test_a_record_that_somebody_broke_leaves_the_others_alone(
    private: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis.Redis.from_url(private.url)
    one = made(private.url, "one", shards=1)
    await one.open()
    await one.initialise()
    broken, truncated, whole = (Stage(one, name) for name in ("broken", "truncated", "whole"))
    for stage in (broken, truncated, whole):
        await stage.start()
    for stage in (broken, truncated, whole):
        await stage.mark(returned=(stage.first.id,))
    for part in ("waiting", "history"):
        client.delete(f"one:{{s00}}:{part}:flow:broken")
        client.set(f"one:{{s00}}:{part}:flow:broken", "nonsense")
    client.hset("one:{s00}:run:flow:truncated", "head", '{"key":')
    before = client.hgetall("one:{s00}:run:flow:broken")
    for stage in (broken, truncated):
        with pytest.raises(InfrastructureError) as raised:
            await stage.begin()
        assert not isinstance(raised.value, StateUnavailable)
    assert client.hgetall("one:{s00}:run:flow:broken") == before  # refused before the first write
    now = await one.now()
    client.zadd("one:{s00}:due", {stage.run: now for stage in (broken, truncated, whole)})
    for stage in (broken, whole):
        client.zadd(f"one:{{s00}}:agenda:{stage.run}", {f"o{stage.first.id}": now})
    tick = await one.tick(0)
    assert [row.record for row in tick.rows] == [whole.run]
    assert tick.next_due > now
    assert "flow:broken cannot be read" in caplog.text
    assert isinstance(await whole.begin(), Granted)
    assert len(await one.runs(RunQuery())) == 3
    await one.close()


@pytest.mark.fault("R5")
async def test_an_evicting_server_is_refused_with_the_command_that_mends_it() -> None:
    with RedisServer(options={"maxmemory": "50mb", "maxmemory-policy": "allkeys-lru"}) as server:
        store = made(server.url)
        with pytest.raises(SettingsError, match="maxmemory-policy") as raised:
            await store.open()
        assert "redis-cli CONFIG SET maxmemory-policy noeviction" in raised.value.remedy
        await store.close()
        redis.Redis.from_url(server.url).config_set("maxmemory-policy", "noeviction")
        await store.open()
        await store.close()


async def test_a_server_that_forbids_the_question_is_not_judged(private: RedisServer) -> None:
    client = redis.Redis.from_url(private.url)
    client.acl_setuser(
        "worker", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-config", "-info"]
    )
    store = made(private.url.replace("redis://", "redis://worker:secret@"))
    await store.open()
    await store.initialise()
    assert (await Stage(store).start()).created
    await store.close()


async def test_a_user_who_may_not_load_functions_is_told_so(private: RedisServer) -> None:
    client = redis.Redis.from_url(private.url)
    client.acl_setuser(
        "worker", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-function"]
    )
    store = made(private.url.replace("redis://", "redis://worker:secret@"))
    with pytest.raises(StateUnavailable, match="function"):
        await store.open()
    await store.close()


async def test_wrong_credentials_and_no_server_are_unavailable_and_name_no_password(
    private: RedisServer,
) -> None:
    urls = (
        private.url.replace("redis://", "redis://worker:s3cret@"),
        f"redis://:s3cret@127.0.0.1:{free_port()}/0",
    )
    for url in urls:
        store = made(url)
        with pytest.raises(StateUnavailable) as raised:
            await store.open()
        assert "s3cret" not in str(raised.value) + raised.value.remedy
        await store.close()


async def test_another_number_of_shards_is_refused(private: RedisServer, store: RedisStore) -> None:
    other = made(private.url, shards=8)
    with pytest.raises(SettingsError, match="4 shards"):
        await other.open()
    await other.close()
