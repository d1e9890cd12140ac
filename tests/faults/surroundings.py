"""The network between, and the clocks."""

from __future__ import annotations

from tests.faults.row import Row, Table

NETWORK = Table(
    title="Network",
    rows=(
        Row(
            id="N1",
            fault="A worker is cut off from Redis, from RabbitMQ, from both, in one direction.",
            expected="No commit without Redis, no acknowledgement without a commit. When it heals, the run "
            "goes on, and who lost the job is fenced.",
        ),
        Row(
            id="N2",
            fault="300 ms on the way, little bandwidth, bytes one by one, lost packets.",
            expected="Slower. No attempt is spent, nothing is done twice.",
            without="Lost packets: to TCP they are latency, which is tested, until they are a cut, which "
            "is N1.",
        ),
        Row(
            id="N3",
            fault="An idle connection is gone and nobody says so; the broker's name leads elsewhere.",
            expected="Found by the heartbeat within three of its periods, and connected anew.",
            without="A name that resolves anew: each connection attempt asks the resolver; there is no "
            "cache of ours.",
        ),
    ),
)

TIME = Table(
    title="Time",
    rows=(
        Row(
            id="T1",
            fault="A worker's clock is an hour ahead or behind.",
            expected="Nothing: leases, retries, timers and deadlines go by Redis's clock, waiting by the "
            "monotonic one.",
        ),
        Row(
            id="T2",
            fault="Redis's clock jumps by an hour.",
            expected="Ahead: leases end early, and fencing lets one attempt commit; timers fire early by "
            "the jump. Back: they wait ([guarantees](guarantees.md#what-cannot-be-promised)).",
            without="redis-server does not start under libfaketime, so the one place where its scripts "
            "ask for the time is moved.",
        ),
    ),
)
