"""A reply is lost after its script was executed: the caller asks again, and gets the answer of the first time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.core.answers import Committed, Granted
from pavane.errors import StateUnavailable
from pavane.testing.conformance.store_stage import Stage
from tests.proxy import RedisProxy
from tests.proxy.resp import end_of, name_of
from tests.servers import RedisServer

CALLS = "cmdstat_fcall"


def executed(server: RedisServer) -> int:
    """How many scripts this server has run, as it counts them itself."""
    stats = redis.Redis.from_url(server.url).info("commandstats")
    assert isinstance(stats, dict)
    return stats[CALLS]["calls"]


async def asked_twice(
    proxy: RedisProxy, server: RedisServer, script: str, ask: Callable[[], Awaitable[object]]
) -> object:
    """The first answer is lost; the second time it comes. The script has run both times."""
    proxy.faults.lose_replies, proxy.faults.replies_to_lose = frozenset({script}), 1
    before = executed(server)
    with pytest.raises(StateUnavailable):
        await ask()
    assert proxy.faults.did["reply lost"] == 1
    assert executed(server) == before + 1
    answer = await ask()
    assert executed(server) == before + 2
    return answer


@pytest.mark.fault("R7")
@pytest.mark.fault("R7")
async def test_a_begin_whose_reply_is_lost_is_granted_once(
    resp: RedisProxy, redis_server: RedisServer, store: RedisStore
) -> None:
    stage = await Stage.built(store)
    answer = await asked_twice(resp, redis_server, "begin", lambda: stage.begin(begin_id="the same"))
    assert isinstance(answer, Granted)
    assert answer.attempt == 1
    record = await stage.read()
    assert [row.work.grants for row in record.steps.values()] == [1]


@pytest.mark.fault("R7")
@pytest.mark.fault("R7")
async def test_a_commit_whose_reply_is_lost_is_committed_once(
    resp: RedisProxy, redis_server: RedisServer, store: RedisStore
) -> None:
    stage = await Stage.built(store)
    grant = await stage.granted()
    answer = await asked_twice(
        resp, redis_server, "commit", lambda: stage.commit(stage.job(), grant.token, "mid")
    )
    assert isinstance(answer, Committed)
    record = await stage.read()
    assert [line.kind for line in await store.history(stage.run)].count("step.committed") <= 1
    assert [row.state for row in record.steps.values()] == ["committed"]
    assert len(record.outbox) == 1


async def test_other_replies_pass_until_the_one_that_is_lost(resp: RedisProxy, store: RedisStore) -> None:
    stage = await Stage.built(store)
    resp.faults.lose_replies = frozenset({"commit"})
    grant = await stage.granted()
    for _ in range(2):
        with pytest.raises(StateUnavailable):
            await stage.commit(stage.job(), grant.token)
    resp.faults.heal()
    assert isinstance(await stage.commit(stage.job(), grant.token), Committed)


@pytest.mark.fault("R7")
async def test_any_reply_can_be_lost(resp: RedisProxy, store: RedisStore) -> None:
    resp.faults.lose_replies, resp.faults.replies_to_lose = frozenset({"*"}), 2
    for _ in range(2):
        with pytest.raises(StateUnavailable):
            await store.initialised()
    assert await store.initialised()


@pytest.mark.parametrize(
    "value",
    [
        b"+OK\r\n",
        b":12\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"$4\r\na\r\nb\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        b"%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n",
        b">2\r\n+invalidate\r\n_\r\n",
    ],
)
def test_the_end_of_a_value_is_found_and_never_before_it_is_whole(value: bytes) -> None:
    assert end_of(value + b"+next\r\n", 0) == len(value)
    assert [end_of(value[:length], 0) for length in range(len(value))] == [None] * len(value)


def test_a_command_is_named_by_the_function_that_it_calls() -> None:
    call = b"*3\r\n$5\r\nFCALL\r\n$30\r\npavane_0123456789abcdef_commit_undo\r\n$1\r\n1\r\n"
    assert name_of(call) == "commit_undo"
    assert name_of(b"*1\r\n$4\r\nPING\r\n") == "ping"
