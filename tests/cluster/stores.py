"""Redis in several: a master that sentinels replace, and a six-node Cluster that loses masters and moves slots.

Replication is asynchronous, so a failover may take back what had not reached the replica; no setting of Redis prevents
that. Runs that lose such writes are counted and told; that everything goes on in time is judged.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from pathlib import Path

from tests.cluster.nodes_lost import Say, Scenario
from tests.cluster.traffic import Passed, Traffic
from tests.servers import RabbitServer
from tests.servers.redis_groups import NODE_TIMEOUT, SLOTS, RedisCluster, WatchedRedis, wait_until

RESUMED_WITHIN = 10.0 + NODE_TIMEOUT / 1000
"""Seconds without any step, of a failover; after those in which nobody calls the master down."""


async def fail_over(folder: Path, say: Say) -> list[Scenario]:
    """The master dies under traffic, and the sentinels name the replica."""
    with ExitStack() as stack:
        rabbit = stack.enter_context(RabbitServer())
        watched = stack.enter_context(closing(WatchedRedis()))
        await asyncio.to_thread(watched.start)
        await asyncio.to_thread(rabbit.start)

        async def happens() -> None:
            await asyncio.to_thread(watched.master.kill)
            replica = watched.replicas[0].port
            await asyncio.to_thread(
                wait_until, lambda: watched.named_master() == replica, "the replica is named"
            )

        async with Traffic.flowing(rabbit.url, watched.url, folder) as traffic:
            return [judged("Sentinel failover", await traffic.during(happens), say)]


async def use_cluster(folder: Path, say: Say) -> list[Scenario]:
    """Three masters with a replica each: two masters die, one after the other; then slots move."""
    with ExitStack() as stack:
        rabbit = stack.enter_context(RabbitServer())
        cluster = stack.enter_context(closing(RedisCluster(replicas=1)))
        await asyncio.to_thread(cluster.start)
        await asyncio.to_thread(rabbit.start)

        async def lose(number: int) -> None:
            await asyncio.to_thread(cluster.masters[number].kill)
            await asyncio.to_thread(cluster.wait_until_whole)

        async with Traffic.flowing(rabbit.url, cluster.url, folder) as traffic:
            first = judged("Cluster: a master dies", await traffic.during(lambda: lose(0)), say)
            back = asyncio.to_thread(cluster.masters[0].start)
            await back
            again = judged("Cluster: another master dies", await traffic.during(lambda: lose(1)), say)
        return [first, again, not_shown(say)]


def judged(name: str, passed: Passed, say: Say) -> Scenario:
    """That work went on in time. What was lost with the old master is told."""
    told = (
        f"{passed.runs} runs, {passed.gap:.1f} s without any step, {passed.refused} starts repeated, "
        f"{len(passed.wrong)} runs or steps lost with writes that had not reached a replica"
    )
    say(f"{name}: {told}")
    slow = (
        []
        if passed.gap <= RESUMED_WITHIN
        else [f"no step for {passed.gap:.1f} s, {RESUMED_WITHIN:g} s are allowed"]
    )
    return Scenario(name, told, slow)


def not_shown(say: Say) -> Scenario:
    """What this cannot do, said where somebody looks for it."""
    told = (
        f"not played under traffic: the {SLOTS:,} slots may move only while nobody works (docs/guarantees.md); "
        "tests/integration/test_redis_groups.py moves them between runs"
    )
    say(f"Cluster: resharding: {told}")
    return Scenario("Cluster: resharding", told, [])
