"""What a three-node RabbitMQ goes through, with traffic on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.namespaces import Network
from tests.cluster.rabbit import ClusterNode, leaders, left_in_queues
from tests.cluster.traffic import Traffic
from tests.servers import KEEPS_ALL, RedisServer, ServerError

Say = Callable[[str], None]

MOVED_WITHIN = 5.0
"""Seconds without any step when a node is lost and a majority is left."""

AWAY, CUT_OFF = 12.0, 25.0
"""Seconds without a majority; seconds of a partition, which the nodes need some of to notice."""

WHOLE_WITHIN = 180.0
"""Seconds until a node that was cut off is one of three again."""

EMPTY_WITHIN = 30.0
"""Seconds for second copies of what is done already, and for the figures, which nodes gather every five."""

BACK_WITHIN = 45.0
"""Seconds without any step where time passes before anybody can notice: three heartbeats and reconnecting."""


@dataclass(frozen=True)
class Scenario:
    """What was done, and what came of it; `wrong` is empty if all is well."""

    name: str
    told: str
    wrong: Sequence[str]


class Cluster:
    """Three nodes. The processes and the client know all three, the first of them first."""

    def __init__(self, network: Network) -> None:
        self.nodes = [ClusterNode(machine, network.machines) for machine in network.machines]

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    @classmethod
    @contextmanager
    def formed(cls) -> Iterator[Cluster]:
        with Network(3) as network, ExitStack() as stack:
            cluster = cls(network)
            for node in cluster.nodes:
                stack.callback(node.close)
            cluster.start_all()
            cluster.nodes[0].rabbitmqctl("await_online_nodes", "3")
            yield cluster

    def start_all(self) -> None:
        """All at once: after a kill of several, one alone waits for the others."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(ClusterNode.start, self.nodes))


async def lose_nodes(folder: Path, say: Say) -> list[Scenario]:
    """All that is done to the nodes, one after another."""
    with Cluster.formed() as cluster, RedisServer(options=KEEPS_ALL) as redis:
        say("Three nodes of RabbitMQ are one cluster.")
        async with Traffic.flowing(cluster.url, redis.url, folder) as traffic:
            found = [await one(cluster, traffic, say) for one in SCENARIOS]
            return [*found, await emptied(cluster)]


async def kill_leader(cluster: Cluster, traffic: Traffic, say: Say) -> Scenario:
    """The node that leads the queues, and to which everybody is connected, dies and comes back."""
    lead = await asyncio.to_thread(leaders, cluster.nodes[1])
    victim = max(cluster.nodes, key=lambda node: lead.get(node.node, 0))

    async def happens() -> None:
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(MOVED_WITHIN)
        await asyncio.to_thread(victim.start)

    return await scenario(f"leader killed ({victim.node} of {lead})", traffic, happens, MOVED_WITHIN, say)


async def kill_minority(cluster: Cluster, traffic: Traffic, say: Say) -> Scenario:
    """A node dies that leads nothing."""
    lead = await asyncio.to_thread(leaders, cluster.nodes[0])
    victim = min(cluster.nodes, key=lambda node: lead.get(node.node, 0))

    async def happens() -> None:
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(MOVED_WITHIN)
        await asyncio.to_thread(victim.start)

    return await scenario(f"minority killed ({victim.node} of {lead})", traffic, happens, MOVED_WITHIN, say)


async def kill_majority(cluster: Cluster, traffic: Traffic, say: Say) -> Scenario:
    """Two of three die: nothing can be published, no attempt is spent, and all goes on when they are back."""

    async def happens() -> None:
        for node in cluster.nodes[1:]:
            await asyncio.to_thread(node.kill)
        await asyncio.sleep(AWAY)
        await asyncio.to_thread(cluster.start_all)

    return await scenario("majority killed", traffic, happens, AWAY + BACK_WITHIN, say)


async def cut_off(cluster: Cluster, traffic: Traffic, say: Say) -> Scenario:
    """The leaders' node is parted from the others, not from its clients: it pauses, and they move on."""
    lead = await asyncio.to_thread(leaders, cluster.nodes[0])
    victim = max(cluster.nodes, key=lambda node: lead.get(node.node, 0))
    others = [node.machine for node in cluster.nodes if node is not victim]

    async def happens() -> None:
        victim.machine.forget_way_to(others)
        await asyncio.sleep(CUT_OFF)
        victim.machine.find_way_to(others)
        await whole_again(cluster)

    return await scenario(
        f"{victim.node} of {lead} parted from the others", traffic, happens, BACK_WITHIN, say
    )


async def unplug(cluster: Cluster, traffic: Traffic, say: Say) -> Scenario:
    """The leaders' node is gone for everybody, and nobody is told: no connection is closed."""
    lead = await asyncio.to_thread(leaders, cluster.nodes[0])
    victim = max(cluster.nodes, key=lambda node: lead.get(node.node, 0))

    async def happens() -> None:
        victim.machine.unplug()
        await asyncio.sleep(CUT_OFF)
        victim.machine.plug_in()
        await whole_again(cluster)

    return await scenario(f"{victim.node} of {lead} unplugged", traffic, happens, BACK_WITHIN, say)


async def whole_again(cluster: Cluster) -> None:
    """Return when each node sees all three; one that has paused itself cannot be asked until it is back.

    Raises:
        ServerError: not in time.
    """
    end = time.monotonic() + WHOLE_WITHIN
    for node in cluster.nodes:
        while True:
            try:
                await asyncio.to_thread(node.rabbitmqctl, "await_online_nodes", "3")
                break
            except ServerError:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(1)


async def scenario(
    name: str, traffic: Traffic, happens: Callable[[], Awaitable[None]], longest: float, say: Say
) -> Scenario:
    """Let it happen under traffic, and judge."""
    passed = await traffic.during(happens)
    slow = (
        [] if passed.gap <= longest else [f"no step began for {passed.gap:.1f} s, {longest:g} s are allowed"]
    )
    told = f"{passed.runs} runs, {passed.gap:.1f} s without any step, {passed.refused} starts repeated"
    say(f"{name}: {told}")
    return Scenario(name, told, [*passed.wrong, *slow])


async def emptied(cluster: Cluster) -> Scenario:
    """Soon after all is over every queue is empty, on every node."""
    end = time.monotonic() + EMPTY_WITHIN
    while True:
        left = {node.node: await asyncio.to_thread(left_in_queues, node) for node in cluster.nodes}
        wrong = [f"{node} still has {queues}" for node, queues in left.items() if queues]
        if not wrong or time.monotonic() > end:
            return Scenario("every queue is empty on every node", f"{len(left)} nodes asked", wrong)


SCENARIOS = (kill_leader, kill_minority, kill_majority, cut_off, unplug)
