"""Redis in several: a failover by Sentinel, behind a proxy that follows it; a Cluster; and what pavane refuses.

pavane cannot follow a Sentinel or a Cluster by itself yet, and refuses their URLs by name. What can be shown is that it
lives through a failover behind one address, as of a load balancer, and that each of its scripts keeps to one slot.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from pavane import Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.errors import InfrastructureError, SettingsError
from tests.cluster.nodes_lost import Say, Scenario
from tests.cluster.traffic import Traffic
from tests.proxy import LoopThread, RedisProxy
from tests.servers import KEEPS_ALL, RabbitServer, RedisServer, ServerError
from tests.servers.process import HOST

MASTER = "pavane"
DOWN_AFTER_MS = 2000
RESUMED_WITHIN = 10.0
"""Seconds without any step, of a failover; after those in which nobody calls the master down."""

SEES_EVERY = 0.1
FORMED_WITHIN = 30.0
CLUSTER = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-node-timeout": "2000"}


class Sentinel(RedisServer):
    """Watches a master, with two others."""

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self._master = master

    def _command(self) -> list[str]:
        program = shutil.which("redis-server")
        assert program is not None
        file = self.folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind {HOST}\ndir {self.folder}\n"
            f"sentinel monitor {MASTER} {HOST} {self._master.port} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 10000\n"
        )
        return [program, str(file), "--sentinel"]


async def fail_over(folder: Path, say: Say) -> list[Scenario]:
    """The master dies under traffic, the replica takes over, and a proxy follows."""
    with ExitStack() as stack:
        rabbit = stack.enter_context(RabbitServer())
        master = stack.enter_context(RedisServer(options=KEEPS_ALL))
        replica = stack.enter_context(RedisServer(options=KEEPS_ALL | {"replicaof": f"{HOST} {master.port}"}))
        sentinels = [stack.enter_context(Sentinel(master)) for _ in range(3)]
        proxy = stack.enter_context(RedisProxy(stack.enter_context(LoopThread()), master.url))
        await asyncio.to_thread(wait_for_replica, master)

        async def happens() -> None:
            await asyncio.to_thread(master.kill)
            await follow(sentinels[0], proxy, replica)

        async with Traffic.flowing(rabbit.url, proxy.url, folder) as traffic:
            passed = await traffic.during(happens)
        told = (
            f"{passed.runs} runs, {passed.gap:.1f} s without any step, {passed.refused} starts repeated, "
            f"{len(passed.wrong)} runs or steps lost with writes that had not reached the replica"
        )
        say(f"Sentinel failover, a proxy following: {told}")
        longest = RESUMED_WITHIN + DOWN_AFTER_MS / 1000
        slow = [] if passed.gap <= longest else [f"no step for {passed.gap:.1f} s, {longest:g} s are allowed"]
        return [Scenario("Sentinel failover, a proxy following", told, slow)]


def wait_for_replica(master: RedisServer) -> None:
    with redis.Redis.from_url(master.url) as client:
        until("a replica in step", lambda: client.wait(1, 100) == 1)


async def follow(sentinel: Sentinel, proxy: RedisProxy, replica: RedisServer) -> None:
    """Ask the sentinel until it names the other one, then lead everybody there."""

    def names_replica() -> bool:
        return str(replica.port) in redis_cli(sentinel, "sentinel", "get-master-addr-by-name", MASTER)

    await asyncio.to_thread(until, "another master", names_replica)
    proxy.aim(replica.url)


async def use_cluster(folder: Path, say: Say) -> list[Scenario]:
    """One node that has all slots, for the scripts; then six, for what a plain URL of one of them comes to."""
    found: list[Scenario] = []
    with RabbitServer() as rabbit:
        with RedisServer(options=KEEPS_ALL | CLUSTER) as alone:
            redis_cli(alone, "cluster", "addslotsrange", "0", "16383")
            async with Traffic.flowing(rabbit.url, alone.url, folder) as traffic:

                async def nothing() -> None:
                    """Runs only have to go through."""

                passed = await traffic.during(nothing)
            told = f"{passed.runs} runs on a node that refuses every script which leaves its slot"
            found.append(Scenario("scripts keep to one slot", told, passed.wrong))
        with six_nodes() as nodes:
            said = await refusal(rabbit.url, nodes[0].url)
            wrong = [] if "Redis Cluster" in said else ["it was taken, or refused without the reason"]
            found.append(Scenario("a plain URL of one of six cluster nodes", said or "taken", wrong))
    for one in found:
        say(f"{one.name}: {one.told}")
    return found


async def refuse_by_name(folder: Path, say: Say) -> list[Scenario]:
    """What pavane cannot do yet it says, before it connects."""
    found: list[Scenario] = []
    for scheme in ("redis+sentinel", "redis+cluster"):
        settings = Settings(broker_url="amqp://127.0.0.1:1/", state_url=f"{scheme}://127.0.0.1:1/{MASTER}")
        try:
            connect(settings)
        except SettingsError as error:
            found.append(Scenario(f"{scheme}:// is refused by name", str(error), []))
        else:
            found.append(
                Scenario(f"{scheme}:// is refused by name", "it was taken", ["play its failover here"])
            )
    return found


async def refusal(broker_url: str, state_url: str) -> str:
    """What pavane says to whoever opens and initialises this store; empty if it takes it."""
    store, broker = connect(Settings(broker_url=broker_url, state_url=state_url, namespace="six"))
    try:
        await open_pair(store, broker)
        await store.initialise()
    except (InfrastructureError, SettingsError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await close_pair(store, broker)
    return ""


@contextmanager
def six_nodes() -> Iterator[Sequence[RedisServer]]:
    """Three masters with a replica each."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(RedisServer(options=CLUSTER)) for _ in range(6)]
        places = [f"{HOST}:{node.port}" for node in nodes]
        redis_cli(nodes[0], "--cluster", "create", *places, "--cluster-replicas", "1", "--cluster-yes")

        def is_formed() -> bool:
            return "cluster_state:ok" in redis_cli(nodes[0], "cluster", "info")

        until("six nodes in one cluster", is_formed)
        yield nodes


def redis_cli(server: RedisServer, *words: str) -> str:
    done = subprocess.run(
        ["redis-cli", "-h", HOST, "-p", str(server.port), *words], capture_output=True, text=True, timeout=60
    )
    if done.returncode or "ERR" in done.stdout:
        raise ServerError(f"redis-cli {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def until(what: str, holds: Callable[[], bool]) -> None:
    """Ask until it holds.

    Raises:
        ServerError: it does not within half a minute.
    """
    end = time.monotonic() + FORMED_WITHIN
    while not holds():
        if time.monotonic() > end:
            raise ServerError(f"not within {FORMED_WITHIN:g} s: {what}")
        time.sleep(SEES_EVERY)
