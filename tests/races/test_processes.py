"""Several real processes, or several connections, after the same work."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from pavane.adapters.redis import RedisStore
from pavane.core.answers import Granted, Leased
from pavane.testing.conformance.store_stage import Stage as StoreStage
from tests.crash.program import LEASE, Ponged
from tests.crash.stage import Stage, eventually
from tests.crash.takeover import dies
from tests.faults.claims import forget_claims
from tests.servers import RedisServer


async def test_a_draining_process_that_re_claims(stage: Stage) -> None:
    """A process that has been told to stop ends what it has, and meanwhile takes new work.

    The guards are that its consumers are cancelled, that what was already on its way to it is not begun
    (`Consumer._receive`, `Jobs._begin`), and that its relay lets go of its shards: with them gone it begins
    runs that were started while it drained, or its shards have no relay for half a minute.
    """
    async with stage.process(grace_period="10") as draining:
        await stage.begin_run("before", first="sleep:2")
        await busy(stage, "before")
        draining.send(signal.SIGTERM)
        await draining.says("stopping: 1 running jobs")
        for number in range(10):
            await stage.begin_run(f"meanwhile{number}")
        assert await draining.ended() == 0
        assert {entry.run for entry in stage.ledger.starts()} == {"before"}
    for shard in range(stage.settings.shards):
        assert await stage.store.claim(f"relay.{shard}", "the next relay", 1), "its shards are free"
    async with stage.process():
        for key in ("before", *(f"meanwhile{number}" for number in range(10))):
            assert (await stage.ending(key)).status == "completed"
    assert set(Counter(entry.run for entry in stage.ledger.starts("line.first")).values()) == {1}


async def busy(stage: Stage, run: str) -> None:
    async def started() -> bool:
        return bool(stage.ledger.starts("line.first", run))

    await eventually(f"{run} is being worked on", started)


async def test_a_run_stuck_between_two_finished_steps(stage: Stage, redis_server: RedisServer) -> None:
    """A step is committed, its process dies before the next one hears of it, and its message is gone as well.

    The guard is the outbox with its relay: without the relay in `Process.start`, nobody publishes the event.
    """
    await stage.begin_run("k")
    await dies(stage, "line.first", "line.second", crash="commit:2")

    async def came_back() -> bool:
        return await stage.ready_in(stage.queue("line.second")) == 1

    await eventually("the dead process's message is back", came_back)
    message = await stage.broker.get(stage.queue("line.second"))
    assert message is not None
    message.ack()  # somebody purged the queue: no redelivery can help
    forget_claims(stage, redis_server)
    async with stage.process():
        assert (await stage.ending("k")).status == "completed"
    assert len(stage.ledger.starts("line.second")) == len(stage.ledger.starts("line.third")) == 1


@pytest.mark.fault("B13")
async def test_a_live_worker_declared_dead(stage: Stage) -> None:
    """A handler takes longer than its lease, its message comes again and again, and somebody else begins it.

    The guard is the renewal (`Attempt._keep`): without it the second process is granted the job after a lease.
    """
    async with stage.process("loose.heard"), stage.process("loose.heard"):
        event = Ponged(key="k", ask={"heard": f"sleep:{2.5 * LEASE}"})

        async def ended() -> bool:
            await stage.client.emit(event, idempotency_key="the same event")
            return bool(stage.ledger.ends("loose.heard"))

        await eventually("the handler ends", ended)
        await stage.nothing_waits()
    assert len(stage.ledger.starts("loose.heard")) == len(stage.ledger.ends("loose.heard")) == 1


async def test_a_step_scheduled_twice_from_a_stale_read(redis_server: RedisServer, namespace: str) -> None:
    """Two processes look at once whether a step is free, both see that it is, and both run it.

    The guard is that looking and taking are one script, which looks at the lease itself: with the line that
    answers *leased* taken out of `begin.lua`, each of these is granted it.
    """
    stores = [RedisStore(redis_server.url, namespace=namespace, shards=1, timeout=5) for _ in range(4)]
    for store in stores:
        await store.open()
    try:
        await stores[0].initialise()
        stages = [StoreStage(store) for store in stores]
        await stages[0].start()
        answers = await asyncio.gather(
            *(stage.begin(begin_id=f"{number}") for number, stage in enumerate(stages * 10))
        )
        kinds = Counter(type(answer) for answer in answers)
        assert kinds == {Granted: 1, Leased: len(answers) - 1}
    finally:
        for store in stores:
            await store.close()


@pytest.mark.fault("W1")
async def test_an_id_popped_before_a_crash(stage: Stage) -> None:
    """A process takes ids off its queue, dies before it has done anything with them, and they are gone.

    The guard is that the acknowledgement comes last (`Jobs.settle`): acknowledged on receipt, these are lost.
    """
    keys = [f"k{number}" for number in range(20)]
    for key in keys:
        await stage.begin_run(key)
    await dies(stage, "line.first", crash=f"receive:{len(keys)}")
    assert stage.ledger.ends() == []
    async with stage.process():
        for key in keys:
            assert (await stage.ending(key)).status == "completed"
        await stage.nothing_waits()
    assert set(Counter(entry.run for entry in stage.ledger.ends("line.first")).values()) == {1}
