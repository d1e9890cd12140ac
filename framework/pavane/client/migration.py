"""Replacing a queue whose arguments differ from the definitions, while its service goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from pavane.client.means import Means
from pavane.client.queue_lock import QueueLock
from pavane.core.leftovers import is_emitted
from pavane.core.migration import interim, is_movable
from pavane.core.topology import Topology, queues_of
from pavane.errors import TopologyMismatch
from pavane.ports.broker import Broker, QueueCount, TopologyChange


async def migrate(
    means: Means, topology: Topology, queue: str, waits: Callable[[QueueCount], None]
) -> list[TopologyChange]:
    """Replace `queue` by one as `topology` wants it; what was done, nothing if it is so already.

    Args:
        queue: its full name.
        waits: told at each look that finds something to wait for.

    Raises:
        UsageError: no queue of the topology that holds jobs or letters.
        TopologyMismatch: somebody else is at it, or it cannot be replaced.
        Overloaded: there is more in it than the wanted one may hold.
        StateUnavailable, BrokerUnavailable: it stopped on the way. Call again: it goes on there.
    """
    # All migrations are one owner: the broker lets only one of them get as far as this, and one that was killed
    # must not have to be waited for.
    lock = QueueLock(means, queue, "migration")
    done: list[TopologyChange] = []
    events = await _events(means, queue)
    try:
        async with aclosing(means.broker.migrate(queue, topology, events)) as steps:
            async for step in steps:
                if not await lock.keep():
                    raise TopologyMismatch(
                        f"A pass through dead letters, or a prune, is at {queue}.",
                        remedy="Wait until it has ended; one that was killed is forgotten after 30 seconds.",
                    )
                if isinstance(step, TopologyChange):
                    done.append(step)
                else:
                    waits(step)
    finally:
        await lock.let_go()
    return done


async def interrupted(broker: Broker, topology: Topology) -> list[TopologyChange]:
    """Queues that stand in for one of `topology`: its migration has not come to its end.

    Raises:
        BrokerUnavailable: no answer.
    """
    queues = [queue for queue in queues_of(topology) if is_movable(queue)]
    counts = await broker.count([interim(queue) for queue in queues])
    return [
        TopologyChange(
            "delete",
            "queue",
            count.queue,
            current=f"{count.ready} messages",
            remedy=f"{queue} is being migrated, or that was interrupted: `pavane topology migrate {queue}` goes on.",
        )
        for queue, count in zip(queues, counts, strict=True)
        if count is not None
    ]


async def _events(means: Means, queue: str) -> list[str]:
    """What the queue's worker was ever subscribed to and was not pruned."""
    prefix, _, worker = queue.partition(".q.")
    if prefix != means.names.namespace:
        return []
    known = [word.partition(" ") for word in await means.store.remembered() if not is_emitted(word)]
    return sorted(event for name, _, event in known if name == worker and event)
