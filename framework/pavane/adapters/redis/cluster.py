"""A Redis Cluster: every command goes to the node that has its key's slot, and follows the slot where it moves.

Every call of pavane touches one slot (`keys`), so a node is as good as a server. Which node has which slot is asked
when it is first needed, when a node does not answer, and when one says that a slot has moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, ResponseError

from pavane.adapters.redis.nodes import Node
from pavane.adapters.redis.wire import Reply, Wire, pack
from pavane.errors import StateUnavailable

MOST_REDIRECTIONS = 5
ASKING = pack(b"ASKING")
WHO_HAS_WHAT = pack(b"CLUSTER", b"SLOTS")


class Cluster:
    """Wires to the nodes of a cluster.

    Args:
        nodes: some of them, to ask first.
        connect: makes what makes connections to a node.
        timeout: seconds until a command that was not answered is given up.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        connect: Callable[[Node], Callable[[], AbstractConnection]],
        *,
        timeout: float,
    ) -> None:
        self._seeds = tuple(nodes)
        self._connect = connect
        self._timeout = timeout
        self._wires: dict[Node, Wire] = {}
        self._slots: list[tuple[int, int, Node]] = []
        self._learning: asyncio.Task[None] | None = None
        self._closed = False

    async def send(self, packed: bytes, key: bytes | None) -> Reply:
        """Send a packed command to the node that has `key`, or, without one, to any.

        Raises:
            StateUnavailable: its node is not there or does not answer; the slot may get another one.
            ResponseError: Redis refused this very command.
        """
        for _ in range(MOST_REDIRECTIONS):
            node = await self._node_of(key)
            try:
                return await self._wire(node).send(packed)
            except MovedError as moved:
                self._slots.insert(0, (moved.slot_id, moved.slot_id, address(moved, node)))
                self._learn()
            except AskError as ask:
                wire = self._wire(address(ask, node))
                asking = wire.send(ASKING)  # the next command on that connection is this one
                answer = wire.send(packed)
                await asking
                return await answer
            except StateUnavailable:
                self._slots = []
                raise
        raise StateUnavailable(
            "Redis sends us from node to node",
            remedy="`redis-cli --cluster check HOST:PORT` says whether its nodes agree.",
        )

    async def everywhere(self, packed: bytes) -> list[Reply]:
        """Send a command to every node that has slots."""
        nodes = await self.masters()
        return list(await asyncio.gather(*(self._wire(node).send(packed) for node in nodes)))

    async def masters(self) -> list[Node]:
        """The nodes that have slots."""
        if not self._slots:
            await self._learnt()
        return sorted({node for _, _, node in self._slots})

    async def close(self) -> None:
        """Give up what is under way and disconnect. Idempotent."""
        self._closed = True
        if self._learning is not None:
            self._learning.cancel()
        wires, self._wires = list(self._wires.values()), {}
        for wire in wires:
            await wire.close()

    def _wire(self, node: Node) -> Wire:
        if self._closed:
            raise StateUnavailable("the connection to Redis is closed")
        if node not in self._wires:
            self._wires[node] = Wire(self._connect(node), timeout=self._timeout, connections=1)
        return self._wires[node]

    async def _node_of(self, key: bytes | None) -> Node:
        if not self._slots:
            await self._learnt()
        if key is None:
            return self._slots[0][2]
        slot = key_slot(key)
        for first, last, node in self._slots:
            if first <= slot <= last:
                return node
        raise StateUnavailable(
            "Redis has lost a part of its cluster",
            remedy="`redis-cli CLUSTER INFO` says which slots are missing; bring their nodes back.",
        )

    async def _learnt(self) -> None:
        """Know the slots; whoever wants to know at the same time waits for the same answer."""
        await asyncio.shield(self._learn())

    def _learn(self) -> asyncio.Task[None]:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.get_running_loop().create_task(self._ask_around())
            self._learning.add_done_callback(heard)
        return self._learning

    async def _ask_around(self) -> None:
        """Take the word of the first node that answers: those known before, then those of the URL."""
        known = dict.fromkeys((*self._wires, *self._seeds))
        last: Exception | None = None
        share = self._timeout / max(1, len(known))
        for node in known:
            try:
                async with asyncio.timeout(share):
                    reply = await self._wire(node).send(WHO_HAS_WHAT)
            except (StateUnavailable, ResponseError, TimeoutError) as error:
                last = error
                continue
            slots = slots_of(reply, node)
            if slots:
                self._slots = slots
                return
        if isinstance(last, StateUnavailable):
            raise last
        raise StateUnavailable(
            "Redis knows no cluster" if last else "Redis has a cluster without slots",
            remedy="Say redis:// in PAVANE_STATE_URL if it is one server; else `redis-cli --cluster check HOST:PORT`.",
        )


def heard(done: asyncio.Task[None]) -> None:
    """Whoever waited has been told; nobody need be left who does."""
    if not done.cancelled():
        done.exception()


def address(redirection: AskError, told_by: Node) -> Node:
    """Where a redirection leads. A node that does not know its own name means the host it was asked at."""
    found: Any = cast("Any", redirection).node_addr
    host, port = found
    return (host or told_by[0], int(port))


def slots_of(reply: Reply, told_by: Node) -> list[tuple[int, int, Node]]:
    """What `CLUSTER SLOTS` says: first slot, last slot, master."""
    found: list[tuple[int, int, Node]] = []
    for first, last, master, *_ in reply:
        host = (master[0] or b"").decode()
        found.append((int(first), int(last), (host or told_by[0], int(master[1]))))
    return found
