"""Start and emit: how runs come to be, and how events from outside reach them."""

from __future__ import annotations

from dataclasses import replace

from pavane.core.answers import Emitted, Refused, UnknownRun
from tests.unit.core.world import CONTRACT, NOW, UNDO, World, event, started


def test_a_start_writes_the_head_and_the_row_of_its_event_in_one_call() -> None:
    world = World(contract=replace(CONTRACT, deadline=60_000))
    answer = world.start()
    assert (answer.created, answer.conflict, answer.event_id) == (True, False, "start")
    assert [row.event.name for row in answer.rows] == ["start"]
    head = world.live.head
    assert (head.phase, head.start_event, head.deadline_at) == ("running", "start", NOW + 60_000)
    assert list(world.live.outbox) == ["start"]


def test_a_start_sent_again_is_answered_as_the_first_while_its_event_is_unpublished() -> None:
    world = started()
    kept = world.live
    first = world.start()
    assert first.created
    assert [row.row for row in first.rows] == ["start"]
    assert world.live is kept
    world.mark("start")
    assert world.start().rows == ()


def test_a_start_of_a_run_that_exists_attaches_to_it_ended_or_not() -> None:
    world = started()
    answer = world.start("another")
    assert (answer.created, answer.conflict, answer.event_id) == (False, False, "start")
    assert world.live.history[-1].kind == "start_repeated"
    world.done("shop.order:start", "order.confirmed")
    assert world.start("third").event_id == "start"
    assert world.live.head.phase == "completed"
    assert "another" not in world.live.events


def test_another_payload_is_recorded_as_a_conflict_and_the_first_stays() -> None:
    world = started()
    answer = world.start("another", digest="other")
    assert (answer.created, answer.conflict) == (False, True)
    assert world.live.history[-1].kind == "conflict"
    assert world.live.head.start_digest == "d"


def test_an_event_from_outside_is_published_once() -> None:
    world = started()
    outside = event("o1", "order.amended")
    answer = world.emit(outside)
    assert isinstance(answer, Emitted)
    assert [row.row for row in answer.rows] == ["o1"]
    kept = world.live
    assert world.emit(outside) == answer
    assert world.live is kept
    world.mark("o1")
    assert world.emit(outside) == Emitted()


def test_an_ending_event_from_outside_ends_the_run() -> None:
    world = started()
    world.done("shop.order:start", "stock.reserved", compensation=UNDO)
    answer = world.emit(event("o1", "order.rejected"))
    assert isinstance(answer, Emitted)
    assert sorted(row.row for row in answer.rows) == ["o1", "undo/shop.order:start"]
    assert (world.live.head.phase, world.live.head.end_event) == ("compensating", "o1")
    assert world.emit(event("o2", "order.amended")) == Refused(reason="run_compensating")


def test_an_event_for_a_run_that_nobody_knows_is_not_taken() -> None:
    world = World()
    assert world.emit(event("o1")) == UnknownRun()
    loose = World(key="~e1")
    loose.granted("shop.tell:e1")
    assert loose.emit(event("o1")) == UnknownRun()


def test_commits_are_judged_by_the_contract_as_of_the_start() -> None:
    world = started()
    world.contract = replace(CONTRACT, completes=("stock.reserved",))
    world.start("another")
    world.done("shop.order:start", "stock.reserved")
    assert world.live.head.phase == "running"
