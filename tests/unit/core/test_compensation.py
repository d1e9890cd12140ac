"""Undo: which steps, in which order, when it begins and how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pavane.core.answers import Committed, Fenced, Granted, Leased, Refused
from pavane.core.record import UndoSpec
from tests.unit.core.world import LEASE, UNDO, World, event, started

PAY = "shop.pay:start"


def test_committed_steps_are_undone_latest_commit_first_and_each_undo_wakes_the_next() -> None:
    world = started()
    first = world.granted("shop.a:start", compensation=UNDO).token
    world.done("shop.b:start", "b.done", compensation=UNDO)
    world.commit("shop.a:start", first, "a.done")
    world.done(PAY, "order.rejected")
    assert world.live.undo == ["shop.a:start", "shop.b:start"]
    assert world.begin("shop.b:start", kind="undo") == Refused(reason="no_undo")
    answer = world.undo("shop.a:start")
    assert isinstance(answer, Committed)
    assert [row.row for row in answer.rows] == ["undo/shop.b:start"]
    answer = world.undo("shop.b:start")
    assert isinstance(answer, Committed)
    assert answer.run_ended == world.live.head.phase == "compensated"


def test_steps_of_unknown_outcome_come_first_latest_begun_first() -> None:
    world = started()
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.fail("shop.b:start", world.granted("shop.b:start", compensation=UNDO).token)
    world.kill("shop.c:start", compensation=UNDO)
    world.done(PAY, "order.rejected")
    assert world.live.undo == ["shop.c:start", "shop.b:start", "shop.a:start"]
    granted = world.granted("shop.c:start", kind="undo")
    assert granted.result is None


def test_what_needs_no_undo_is_not_undone() -> None:
    world = started()
    sure = UndoSpec(uncertain=False)
    picky = UndoSpec(admits=("stock.reserved",))
    world.fail("shop.unsure:start", world.granted("shop.unsure:start", compensation=sure).token)
    world.done("shop.other_result:start", "stock.unavailable", compensation=picky)
    world.done("shop.no_undo:start", "x.done")
    world.reject("shop.never_began:start")
    world.done("shop.wanted:start", "stock.reserved", compensation=picky)
    world.done(PAY, "order.rejected", compensation=UNDO)
    assert world.live.undo == ["shop.wanted:start"]


def test_a_run_with_nothing_to_undo_has_failed_at_once() -> None:
    world = started()
    answer = world.done(PAY, "order.rejected", compensation=UNDO)
    assert isinstance(answer, Committed)
    assert answer.run_ended == world.live.head.phase == "failed"
    assert world.kinds()[-2:] == ["compensation_started", "failed"]


def test_no_undo_begins_while_a_step_holds_a_lease_closing_steps_excepted() -> None:
    world = started()
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.granted("shop.alert:f", framework=True)
    slow = world.granted("shop.slow:start").token
    world.done(PAY, "order.rejected")
    assert (world.live.head.chain, world.live.undo) == ("waiting", [])
    assert world.live.head.void_at == world.now + LEASE
    world.release("shop.slow:start", slow)
    assert (world.live.head.chain, world.live.undo) == ("running", ["shop.a:start"])
    assert world.live.head.void_at == 0


def test_void_waits_for_the_leases_that_are_held_and_not_for_longer_ones_that_ended() -> None:
    world = started()
    world.done("shop.a:start", "a.done", lease=10**9)
    world.granted("shop.slow:start")
    world.done(PAY, "order.rejected")
    assert world.live.head.void_at == world.now + LEASE


def test_a_redelivered_step_whose_holder_died_is_refused_and_undone_after_the_void() -> None:
    world = started()
    world.crash("shop.a:start", compensation=UNDO)
    world.done(PAY, "order.rejected")
    assert world.begin("shop.a:start") == Refused(reason="run_compensating")
    assert world.live.head.chain == "waiting"
    world.review()
    assert world.live.undo == ["shop.a:start"]
    assert world.live.head.leases == 0


@pytest.mark.fault("C5")
def test_leaving_running_takes_timers_deadline_and_marks_with_it() -> None:
    world = started(contract=replace(World().contract, deadline=10**9))
    world.kill("shop.x:start")
    assert world.live.head.stalled
    world.done(PAY, "order.rejected")
    assert world.live.head.stalled == []
    assert world.live.head.deadline_at == 0


def test_only_the_holder_ends_an_undo_and_only_once() -> None:
    world = started()
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.done(PAY, "order.rejected")
    assert world.commit_undo("shop.a:start", 99) == Fenced()
    old = world.crash("shop.a:start", kind="undo")
    assert isinstance(world.begin("shop.a:start", kind="undo"), Granted)
    assert world.commit_undo("shop.a:start", old) == Fenced()
    token = world.work("shop.a:start", "undo").token
    first = world.commit_undo("shop.a:start", token)
    assert isinstance(first, Committed)
    kept = world.live
    assert isinstance(world.commit_undo("shop.a:start", token), Committed)
    assert world.live is kept
    assert isinstance(world.begin("shop.a:start", kind="undo"), Committed)


def test_an_undo_is_leased_like_a_step() -> None:
    world = started()
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.done(PAY, "order.rejected")
    world.granted("shop.a:start", kind="undo")
    assert world.begin("shop.a:start", kind="undo") == Leased(remaining=LEASE)
    assert world.live.head.other_leases == 1


def test_forward_deliveries_of_an_undone_step_are_settled_without_running() -> None:
    world = started()
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.fail("shop.b:start", world.granted("shop.b:start", compensation=UNDO).token)
    world.done(PAY, "order.rejected")
    assert world.begin("shop.b:start", generation=1) == Refused(reason="run_compensating")
    world.undo("shop.b:start")
    world.undo("shop.a:start")
    assert isinstance(world.begin("shop.a:start"), Committed)
    assert world.begin("shop.b:start", generation=1) == Refused(reason="run_compensated")


def test_framework_events_tell_of_the_letter_the_stall_and_the_end_if_anybody_subscribes() -> None:
    names = ("pavane.step_dead_lettered", "pavane.run_stalled", "pavane.undo_stuck", "pavane.run_ended")
    world = started(subscribed=names)
    world.done("shop.a:start", "a.done", compensation=UNDO)
    world.kill("shop.x:start")
    world.done(PAY, "order.rejected")
    world.kill("shop.a:start", kind="undo")
    world.redrive("shop.a:start", "undo")
    world.commit_undo("shop.a:start", world.granted("shop.a:start", kind="undo", generation=2).token)
    told = [row.name for row in world.live.events.values() if row.name.startswith("pavane.")]
    assert told == [names[0], names[1], names[2], names[1], names[3]]
    assert len(world.live.outbox) == len({row.id for row in world.live.outbox.values()})


def test_the_letter_of_a_step_on_a_framework_event_is_not_reported_again() -> None:
    world = started(subscribed=("pavane.step_dead_lettered",))
    dead = event("f1", "pavane.step_dead_lettered")
    world.kill("shop.alert:f1", event=dead, framework=True)
    assert [row.name for row in world.live.events.values()].count("pavane.step_dead_lettered") == 1
    assert world.live.head.stalled == []
