"""Several private Redis that belong together: a cluster, and a master with replicas that sentinels watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from tests.servers.process import HOST, ServerError
from tests.servers.redis import KEEPS_ALL, RedisServer

NODE_TIMEOUT = 1_000
"""Milliseconds after which a node that is silent counts as failed."""

SLOTS = 16_384
MASTER = "pavane"


def command(server: RedisServer, *words: object) -> Any:
    """One plain command to one server."""
    with Redis(host=HOST, port=server.port, decode_responses=True, socket_timeout=5) as client:
        return client.execute_command(*words)


def wait_until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (RedisError, OSError):
            pass  # it is not there yet
        if time.monotonic() > end:
            raise ServerError(f"{what}: not within {seconds:g} s")
        time.sleep(0.05)


class RedisCluster:
    """Masters that share the slots evenly, each with so many replicas."""

    def __init__(self, *, masters: int = 3, replicas: int = 0) -> None:
        options = KEEPS_ALL | {"cluster-enabled": "yes", "cluster-node-timeout": str(NODE_TIMEOUT)}
        self.nodes = [RedisServer(options=options) for _ in range(masters * (1 + replicas))]
        self.masters, self.replicas = self.nodes[:masters], self.nodes[masters:]

    @property
    def url(self) -> str:
        return ",".join(f"redis+cluster://{HOST}:{node.port}" for node in self.nodes)

    def start(self) -> Self:
        for node in self.nodes:
            node.start()
        bounds = [SLOTS * number // len(self.masters) for number in range(len(self.masters) + 1)]
        for number, master in enumerate(self.masters):
            command(master, "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        for number, node in enumerate(self.nodes, 1):
            command(node, "CLUSTER", "SET-CONFIG-EPOCH", number)
        for node in self.nodes[1:]:
            command(node, "CLUSTER", "MEET", HOST, self.nodes[0].port)
        self.wait_until_whole()
        for number, replica in enumerate(self.replicas):
            master = command(self.masters[number % len(self.masters)], "CLUSTER", "MYID")
            wait_until(partial(knows, replica, master), "it is known")
            command(replica, "CLUSTER", "REPLICATE", master)
        wait_until(lambda: all(in_step(replica) for replica in self.replicas), "replicas are in step")
        return self

    def wait_until_whole(self) -> None:
        """Return when every node that runs says that all slots are served."""
        running = [node for node in self.nodes if node.running]
        wait_until(
            lambda: all("cluster_state:ok" in command(node, "CLUSTER", "INFO") for node in running),
            "the cluster is whole",
        )

    def move_slot(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Move a slot with its keys, as `redis-cli --cluster reshard` does."""
        ids = {server.port: command(server, "CLUSTER", "MYID") for server in (source, target)}
        command(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        command(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        while keys := command(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            command(source, "MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)
        for node in self.masters:
            command(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])

    def close(self) -> None:
        for node in self.nodes:
            node.close()


def in_step(replica: RedisServer) -> bool:
    said = command(replica, "INFO", "replication")
    return said["role"] == "slave" and said["master_link_status"] == "up"


def knows(node: RedisServer, id_: str) -> bool:
    return id_ in command(node, "CLUSTER", "NODES")


class Sentinel(RedisServer):
    """One sentinel, which watches a master."""

    name = "sentinel"

    def __init__(self, master: RedisServer, quorum: int) -> None:
        super().__init__()
        self._watched = f"sentinel monitor {MASTER} {HOST} {master.port} {quorum}"

    def _command(self) -> list[str]:
        written = self.folder / "sentinel.conf"
        if not written.exists():  # a sentinel keeps what it learns in it
            lines = (
                *(f"port {self.port}", f"bind {HOST}", f"dir {self.folder}", self._watched),
                f"sentinel down-after-milliseconds {MASTER} {NODE_TIMEOUT}",
                f"sentinel failover-timeout {MASTER} 5000",
            )
            written.write_text("\n".join(lines) + "\n")
        return [super()._command()[0], str(written), "--sentinel"]


class WatchedRedis:
    """A master, replicas, and sentinels that make a replica the master when it is gone."""

    def __init__(self, *, replicas: int = 1, sentinels: int = 3) -> None:
        self.master = RedisServer(options=KEEPS_ALL)
        follows = KEEPS_ALL | {"replicaof": f"{HOST} {self.master.port}"}
        self.replicas = [RedisServer(options=follows) for _ in range(replicas)]
        self.sentinels = [Sentinel(self.master, quorum=sentinels // 2 + 1) for _ in range(sentinels)]

    @property
    def url(self) -> str:
        return ",".join(f"redis+sentinel://{HOST}:{one.port}/{MASTER}" for one in self.sentinels)

    def start(self) -> Self:
        for server in self._servers:
            server.start()
        wait_until(lambda: all(in_step(replica) for replica in self.replicas), "replicas are in step")
        wait_until(lambda: all(self._knows(one) for one in self.sentinels), "sentinels know each other")
        return self

    def _knows(self, sentinel: Sentinel) -> bool:
        found = command(sentinel, "SENTINEL", "MASTER", MASTER)
        said = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
        others = len(self.sentinels) - 1
        return int(said["num-other-sentinels"]) == others and int(said["num-slaves"]) == len(self.replicas)

    def named_master(self) -> int:
        """Port of the server that the first sentinel takes for the master."""
        return int(command(self.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    @property
    def _servers(self) -> Sequence[RedisServer]:
        return (self.master, *self.replicas, *self.sentinels)

    def close(self) -> None:
        for server in self._servers:
            server.close()
