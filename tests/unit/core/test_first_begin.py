"""What a row keeps of its job's first begin, also if the row is older than that."""

from __future__ import annotations

from pavane.core.answers import Dead, Granted, PutBack
from tests.unit.core.world import UNDO, event, started


def test_a_job_that_was_put_back_before_it_ever_began_is_undone_like_any_other() -> None:
    world = started()
    assert world.reject("shop.reserve:start", delivery_limit=True) == PutBack(delay=0)
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.done("shop.pay:start", "order.rejected")
    assert world.live.undo == ["shop.reserve:start"]
    granted = world.granted("shop.reserve:start", kind="undo")
    assert granted.event is not None
    assert granted.event.id == "start"


def test_a_job_redriven_after_it_was_rejected_unread_keeps_its_event_and_its_undo() -> None:
    world = started()
    assert isinstance(world.reject("shop.reserve:start", event=None), Dead)
    assert world.redrive("shop.reserve:start").outcome == "publish"
    world.done("shop.reserve:start", "stock.reserved", generation=2, compensation=UNDO)
    assert world.row("shop.reserve:start").event == "start"
    assert world.row("shop.reserve:start").compensation == UNDO


def test_a_put_back_closing_step_is_granted_after_the_run_failed() -> None:
    world = started()
    world.done("shop.pay:start", "order.rejected")
    assert world.live.head.phase == "failed"
    ending = event("shop.pay:start/order.rejected", "order.rejected")
    step = f"shop.tell:{ending.id}"
    assert world.reject(step, event=ending, delivery_limit=True) == PutBack(delay=0)
    assert isinstance(world.begin(step, event=ending), Granted)
    assert world.row(step).closing
    assert world.live.head.retrying == 0


def test_what_a_row_was_begun_with_is_not_changed_by_a_later_copy() -> None:
    world = started()
    token = world.granted("shop.reserve:start", compensation=UNDO).token
    world.fail("shop.reserve:start", token)
    world.granted("shop.reserve:start", generation=1, framework=True, compensation=None)
    assert not world.row("shop.reserve:start").closing
    assert world.row("shop.reserve:start").compensation == UNDO
