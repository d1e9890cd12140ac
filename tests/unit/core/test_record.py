"""Records: forks are independent, histories are capped, and names are the same wherever they are made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pavane.core import identity
from pavane.core.record import ATTEMPTS_KEPT
from pavane.core.topology import (
    LONGEST_DELAY,
    UNIT_MS,
    Topology,
    WorkerTopology,
    queues_of,
    wheel_levels,
)
from tests.unit.core.world import CONTRACT, LEASE, started

JOB = "shop.order:start"


def test_a_fork_can_be_written_on_without_touching_the_original() -> None:
    world = started()
    world.granted(JOB)
    original = world.live
    before = original.fork()
    fork = original.fork()
    row = fork.edit(JOB)
    assert row is not None
    row.emitted.append("x")
    row.work.granted.append(99)
    row.work.attempts[0].outcome = "lost"
    fork.head.stalled.append("idle")
    fork.data["a"] = b"1"
    fork.remember("stalled", 1)
    fork.outbox.clear()
    assert original == before
    assert fork.edit("nothing") is None


def test_a_full_history_loses_its_oldest_lines_and_never_harms_the_run() -> None:
    world = started(contract=replace(CONTRACT, max_history=5))
    for number in range(20):
        world.done(f"shop.w{number}:start")
    assert len(world.live.history) == 5
    assert [line.seq for line in world.live.history] == list(range(37, 42))
    assert world.live.head.commits == 20


def test_a_job_that_is_snoozed_for_ever_keeps_its_last_attempts_only() -> None:
    world = started()
    for _ in range(ATTEMPTS_KEPT + 20):
        world.release(JOB, world.granted(JOB).token)
    assert len(world.work(JOB).attempts) == ATTEMPTS_KEPT
    assert world.work(JOB).granted == []


def test_counters_on_the_head_follow_the_rows() -> None:
    world = started()
    tokens = [world.granted(f"shop.w{number}:start").token for number in range(4)]
    world.fail("shop.w0:start", tokens[0])
    world.release("shop.w1:start", tokens[1])
    world.commit("shop.w2:start", tokens[2])
    head = world.live.head
    assert (head.leases, head.retrying, head.commits, head.letters) == (1, 2, 1, 0)
    world.now += LEASE
    world.granted("shop.w3:start")
    assert world.live.head.leases == 1


def test_ids_are_the_same_each_time_and_differ_wherever_anything_differs() -> None:
    def ids(record: str, step: str, ordinal: int) -> list[str]:
        return [
            identity.emitted_id(record, step, ordinal),
            identity.emitted_id(record, step, ordinal, "timer"),
            identity.idempotency_key(record, step, "step"),
            identity.idempotency_key(record, step, "undo"),
            identity.letter_id(record, step, "step"),
            identity.letter_id(record, step, "undo"),
        ]

    assert ids("order:1", JOB, 0) == ids("order:1", JOB, 0)
    assert len({*ids("order:1", JOB, 0), *ids("order:2", JOB, 0), *ids("order:1", "shop.pay:start", 0)}) == 18
    assert identity.emitted_id("order:1", JOB, 0) != identity.emitted_id("order:1", JOB, 1)


def test_derived_names_never_change_from_one_release_to_the_next() -> None:
    assert identity.run_key("order", "1") == "order:1"
    assert identity.loose_key("e1") == "~e1"
    assert identity.step_id("shop.order", "e1") == "shop.order:e1"
    assert identity.emitted_id("order:1", JOB, 0) == "99624e1a-1fcf-57ca-b2b4-c2f6e26873ba"
    assert identity.letter_id("order:1", JOB, "step") == "8c6b1101e5e8b075"
    assert identity.shard_of("order:1", 16) == 9


def test_records_spread_over_all_shards() -> None:
    assert {identity.shard_of(f"order:{number}", 16) for number in range(500)} == set(range(16))


@pytest.mark.parametrize("delay", [0, 1, 249, 250, 251, 1_000, 60_000, 3_600_000, LONGEST_DELAY])
def test_the_wheels_levels_add_up_to_the_delay_rounded_up(delay: int) -> None:
    levels = wheel_levels(delay)
    waited = sum((1 << level) * UNIT_MS for level in levels)
    assert delay <= waited < delay + UNIT_MS
    assert list(levels) == sorted(set(levels), reverse=True)


def test_a_delay_longer_than_the_wheel_is_cut_to_its_longest() -> None:
    assert wheel_levels(10 * LONGEST_DELAY) == wheel_levels(LONGEST_DELAY)


def test_a_topology_names_every_queue_once() -> None:
    topology = Topology(
        "ns",
        (
            WorkerTopology("shop", "order", ("order.placed",), undo=True),
            WorkerTopology("shop", "tell", ("x",)),
        ),
    )
    assert list(queues_of(topology)) == [
        "ns.q.shop.order",
        "ns.undo.shop.order",
        "ns.dlq.shop.order",
        "ns.q.shop.tell",
        "ns.dlq.shop.tell",
        "ns.intake.shop",
        "ns.parked",
    ]
