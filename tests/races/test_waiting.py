"""Work that waits: for the relay, for a slot, for its time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from pavane.adapters.redis import RedisStore
from pavane.core.calls import TimerSet
from pavane.errors import StateUnavailable
from pavane.testing import Harness
from pavane.testing.conformance.store_stage import SOON, Stage, event
from tests.races.work import Asked, Work, asking
from tests.servers import RedisServer

WORKER = "race.answer"


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_recovery_that_strands_a_run_after_a_transient_store_error(
    executed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay looks at a shard because a row is due, the store fails once, and nobody looks again.

    The guard is that a shard whose tick failed stays due (`Relay._tick`); without it the run waits for ever.
    """
    work = Work()
    async with Harness(work.app) as harness:
        with harness.broker_down():
            handle = await harness.start(asking, Asked(key="k"))  # left to the relay
        tick, errors = harness._store.tick, [1]

        async def flaky(shard: int, **changed: Any) -> Any:
            ready = harness._clock.now() >= started + 3_000
            answer = await tick(shard, **changed) if executed or not (ready and errors) else None
            if ready and errors:
                errors.pop()
                raise StateUnavailable("once")
            return answer

        started = harness._clock.now()
        monkeypatch.setattr(harness._store, "tick", flaky)
        assert (await handle.wait()).status == "completed"
        assert errors == []
        assert work.called == ["k"]


async def test_a_concurrency_slot_leaked_between_dequeue_and_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is taken from its queue, its begin breaks in a way nobody foresaw, and its slot is gone for good.

    The guards are that such a delivery is put off and acknowledged (`Consumer._put_off`), and that a job leaves
    those that share the process however it ends (`Jobs._run`). Without the first, a worker with one slot does
    nothing any more; without the second, a job that has to run alone waits for ever.
    """
    work = Work()
    async with Harness(work.app) as harness:
        begin, errors = harness._store.begin, ["a", "b", "c"]

        async def broken(call: Any) -> Any:
            if errors and call.record.endswith(f":{errors[0]}"):
                errors.pop(0)
                raise RuntimeError("nobody foresaw this")
            return await begin(call)

        monkeypatch.setattr(harness._store, "begin", broken)
        for key in ("a", "b"):
            assert (await (await harness.start(asking, Asked(key=key))).wait()).status == "completed"
        # Two processes die of it, so the third runs it alone, after an error that must have left no slot behind.
        harness.crash(WORKER, "handler", times=2)
        errors[:] = []
        handle = await harness.start(asking, Asked(key="c"))
        await harness.until_idle()
        await harness.advance(2)
        await harness.until_idle()
        errors[:] = ["c"]
        assert (await handle.wait()).status == "completed"
        assert errors == []


async def test_a_lost_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something becomes due while the relay is looking, and the bell that rang is silenced when it has looked.

    The guard is that the bell is silenced before it looks (`Relay.run`); silenced after, nobody looks again.
    """
    work = Work()
    async with Harness(work.app) as harness:
        await harness.until_idle()
        process = harness._life._process
        assert process is not None
        tick, looks = harness._store.tick, list[int]()

        async def meanwhile(shard: int, **changed: Any) -> Any:
            looks.append(shard)
            answer = await tick(shard, **changed)
            if len(looks) == 1:
                # What a call of this process does that writes a time, between the answer and the end of the look.
                process.relay._want(shard, harness._clock.now())
                await asyncio.sleep(0)
            return answer

        monkeypatch.setattr(harness._store, "tick", meanwhile)
        process.relay._want(0, harness._clock.now())
        await harness.until_idle()
        assert looks == [0, 0]


async def snoozed(harness: Harness, work: Work) -> None:
    work.not_now = 3
    await harness.start(asking, Asked(key="k"))


async def held(harness: Harness, work: Work) -> None:
    with harness.broker_down():
        handle = await harness.start(asking, Asked(key="k"))
        await handle.pause("not yet")
    await harness.advance(10)
    assert (await handle.status()).status == "paused"
    await handle.resume()


async def leased(harness: Harness, work: Work) -> None:
    harness.crash(WORKER, "handler")
    await harness.start(asking, Asked(key="k"))


@pytest.mark.parametrize("waits", [snoozed, held, leased])
async def test_a_run_stuck_when_a_step_fails_after_waiting(
    waits: Callable[[Harness, Work], Awaitable[None]],
) -> None:
    """A step waits (for its time, for a pause, for a dead process's lease), then fails, and nobody tries it again.

    The guard is that waiting adds no generation and leaves no time behind: with a generation added by `release`
    the copies that wait are old ones, and the job is lost. The run ends visibly: tried as often as its policy
    says, listed, redriven.
    """
    work = Work(broken=True)
    async with Harness(work.app) as harness:
        await waits(harness, work)
        await harness.advance(60)
        await harness.assert_status("race:k", "stalled")
        [letter] = await harness.client.dead_letters.list().all()
        assert (letter.reason, letter.worker) == ("attempts", WORKER)
        [step] = await harness.run("race:k").steps().all()
        assert [one.outcome for one in step.attempts].count("failed") == 2
        work.broken = False
        assert (await harness.client.dead_letters.redrive(letter.id)).done == 1
        assert (await harness.run("race:k").wait()).status == "completed"


async def test_a_timer_that_fires_for_ever_after_a_purge(redis_server: RedisServer, namespace: str) -> None:
    """A run is removed by hand, its timer stays in the set of due times, and is found due at every look.

    The guard is that a tick takes what has no record off the set (`tick.lua`); without it the relay turns in circles.
    """
    store = RedisStore(redis_server.url, namespace=namespace, shards=1, timeout=5)
    await store.open()
    try:
        await store.initialise()
        stage = await Stage.built(store)
        grant = await stage.granted()
        timer = TimerSet(key="t", at=SOON, event=event("timer-1"))
        await stage.commit(stage.job(), grant.token, timers=(timer,), relative=("t",))
        await stage.mark(stage.first.id)
        client = redis.Redis.from_url(redis_server.url)
        purged = [key for key in client.scan_iter(f"{namespace}:*") if key.endswith(b":flow:1")]
        assert client.delete(*purged) > 2
        await asyncio.sleep(2 * SOON / 1000)  # its time comes
        first, second = await stage.tick(), await stage.tick()
        assert (first.rows, second.rows) == ((), ())
        assert (first.next_due, second.next_due) == (0, 0)
    finally:
        await store.close()
