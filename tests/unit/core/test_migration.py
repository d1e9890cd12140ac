"""Names of the queues that take part when a queue is replaced."""

from __future__ import annotations

import pytest

from pavane.core.migration import home, interim, is_movable
from pavane.core.topology import Names, Topology, WorkerTopology, queues_of

TOPOLOGY = Topology("ns", (WorkerTopology("stock", "moved", ("a.b",), undo=True),))
QUEUES = queues_of(TOPOLOGY)


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_and_its_interim_are_told_apart(queue: str) -> None:
    assert is_movable(queue)
    assert not is_movable(interim(queue))
    assert (home(queue), home(interim(queue))) == (queue, queue)


@pytest.mark.parametrize("queue", [Names("ns").level("stock", 3), "ns", "other", "", "a.b.c.d.moved"])
def test_what_holds_no_jobs_or_letters_stays(queue: str) -> None:
    assert not is_movable(queue)
    assert home(queue) == queue
