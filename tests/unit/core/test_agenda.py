"""What falls due: republication, timers, the deadline, voided leases, the idle mark, retention."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pavane.core import agenda
from pavane.core.answers import Fenced, Granted, Late, Renewed
from pavane.core.calls import Commit, TimerSet
from pavane.core.step import commit
from tests.unit.core.world import CONTRACT, LEASE, NOW, UNDO, World, event, started, verdict

HOUR = 3_600_000
DAY = 24 * HOUR


def with_timer(name: str, after: int, *, key: str = "k", contract: object = CONTRACT) -> World:
    """A run whose first step has committed a timer."""
    world = started(contract=contract)
    world.mark("start")
    token = world.granted("shop.order:start").token
    set_timer = TimerSet(key=key, at=after, event=event(f"timer/{key}", name))
    call = Commit(
        record=world.key, step="shop.order:start", token=token, timers=(set_timer,), relative=(key,)
    )
    world.apply(commit, call)
    return world


def test_a_row_that_nobody_marked_is_published_again_with_growing_pauses() -> None:
    world = started()
    pauses = []
    for _ in range(7):
        at = agenda.due_at(world.live)
        pauses.append(at - world.now)
        world.now = at
        assert [row.row for row in world.review().rows] == ["start"]
    assert pauses == [3_000, 3_000, 6_000, 12_000, 24_000, 48_000, 60_000]
    world.mark("start")
    world.now += 60_000
    assert world.review().rows == ()


def test_a_timer_fires_once_at_its_time_and_not_before() -> None:
    world = with_timer("order.reminded", 5_000)
    world.now += 4_999
    assert world.review().rows == ()
    assert agenda.status_of(world.live) == "waiting"
    world.now += 1
    assert agenda.due_at(world.live) == world.now
    assert [row.event.name for row in world.review().rows] == ["order.reminded"]
    assert not world.live.timers
    world.mark("timer/k")
    assert world.review().rows == ()


def test_a_timer_set_again_under_its_key_replaces_the_first_and_can_be_cancelled() -> None:
    world = with_timer("order.reminded", 5_000)
    again = TimerSet(key="k", at=world.now + 9_000, event=event("timer/k2", "order.reminded"))
    token = world.granted("shop.other:start").token
    world.commit("shop.other:start", token, timers=(again,))
    assert [timer.event.id for timer in world.live.timers.values()] == ["timer/k2"]
    token = world.granted("shop.third:start").token
    world.commit("shop.third:start", token, cancelled_timers=("k", "never set"))
    assert not world.live.timers
    assert world.kinds().count("timer_cancelled") == 1


def test_no_timer_is_set_once_the_run_has_ended_and_the_history_says_so() -> None:
    world = started()
    token = world.granted("shop.late:start").token
    world.done("shop.order:start", "order.confirmed")
    world.commit(
        "shop.late:start",
        token,
        timers=(TimerSet(key="k", at=NOW, event=event("timer/k", "order.reminded")),),
    )
    assert not world.live.timers
    assert world.live.history[-1].kind == "timer_cancelled"


def test_a_timer_whose_event_ends_the_run_ends_it_when_it_fires() -> None:
    world = with_timer("order.rejected", 5_000)
    world.now += 5_000
    assert [row.event.name for row in world.review().rows] == ["order.rejected"]
    assert world.live.head.phase == "failed"
    assert world.live.head.end_event == "timer/k"


def test_of_two_due_timers_the_earlier_ends_the_run_and_the_later_does_not_fire() -> None:
    world = with_timer("order.confirmed", 5_000)
    token = world.granted("shop.other:start").token
    later = TimerSet(key="l", at=world.now + 6_000, event=event("timer/l", "order.reminded"))
    world.commit("shop.other:start", token, timers=(later,))
    world.now += 7_000
    assert [row.event.name for row in world.review().rows] == ["order.confirmed"]
    assert world.live.head.phase == "completed"


def test_passing_the_deadline_fails_the_run_and_undoes_what_was_done() -> None:
    world = started(contract=replace(CONTRACT, deadline=DAY))
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.now = NOW + DAY - 1
    world.review()
    assert world.live.head.phase == "running"
    world.now += 1
    world.review()
    assert (world.live.head.phase, world.live.head.reason) == ("compensating", "deadline")
    world.undo("shop.reserve:start")
    assert agenda.status_of(world.live) == "compensated"


def test_an_ended_run_has_no_deadline() -> None:
    world = started(contract=replace(CONTRACT, deadline=DAY))
    world.done("shop.order:start", "order.confirmed")
    world.now = NOW + DAY
    world.review()
    assert world.live.head.phase == "completed"


def test_a_dead_holder_of_a_failing_run_is_voided_when_its_lease_is_over() -> None:
    world = started()
    token = world.granted("shop.reserve:start", compensation=UNDO).token
    world.done("shop.pay:start", "order.rejected")
    assert world.live.head.chain == "waiting"
    world.now = NOW + LEASE - 1
    world.review()
    assert world.live.head.chain == "waiting"
    world.now += 1
    assert agenda.due_at(world.live) <= world.now
    assert "undo/shop.reserve:start" in [row.row for row in world.review().rows]
    assert world.commit("shop.reserve:start", token, "stock.reserved") == Fenced()
    assert world.row("shop.reserve:start").state == "undoing"


def test_a_long_lease_that_has_ended_does_not_keep_undo_waiting_for_a_dead_holder() -> None:
    world = started()
    world.done("shop.audit:start", "order.audited", lease=HOUR)
    world.granted("shop.reserve:start", compensation=UNDO)
    world.done("shop.pay:start", "order.rejected")
    world.now = NOW + LEASE
    assert "undo/shop.reserve:start" in [row.row for row in world.review().rows]


def test_a_holder_that_renews_is_waited_for_and_told_to_stop() -> None:
    world = started()
    token = world.granted("shop.reserve:start", compensation=UNDO).token
    world.done("shop.pay:start", "order.rejected")
    world.now += LEASE - 1
    assert world.renew("shop.reserve:start", token) == Renewed(lease_until=world.now + LEASE, stopping=True)
    world.now += 1
    world.review()
    assert world.live.head.chain == "waiting"
    assert world.live.head.void_at == world.now - 1 + LEASE
    answer = world.commit("shop.reserve:start", token, "stock.reserved")
    assert isinstance(answer, Late)
    assert [row.row for row in answer.rows] == ["undo/shop.reserve:start"]


def test_a_run_that_nothing_moves_is_marked_idle_and_the_next_begin_takes_the_mark_off() -> None:
    world = started()
    world.mark("start")
    world.now += HOUR
    world.review()
    assert world.live.head.stalled == ["idle"]
    assert agenda.status_of(world.live) == "stalled"
    world.granted("shop.order:start")
    assert world.live.head.stalled == []
    assert world.live.head.idle_at == world.now + HOUR


def test_telling_people_that_a_run_is_idle_does_not_end_it() -> None:
    world = started()
    world.mark("start")
    world.now += HOUR
    world.review()
    world.granted("shop.alert:stalled", framework=True)
    assert world.live.head.stalled == ["idle"]


def test_a_run_that_changed_since_is_looked_at_again_later() -> None:
    world = started()
    world.mark("start")
    world.now += HOUR // 2
    world.done("shop.order:start")
    world.now = NOW + HOUR
    world.review()
    assert world.live.head.stalled == []
    assert world.live.head.idle_at == NOW + HOUR // 2 + HOUR


def test_a_pending_row_a_timer_a_live_lease_and_a_retry_ahead_are_not_idle() -> None:
    pending = started()
    timer = with_timer("order.reminded", DAY)
    leased = started()
    leased.mark("start")
    leased.granted("shop.order:start", lease=DAY)
    retrying = started()
    retrying.mark("start")
    retrying.fail("shop.order:start", retrying.granted("shop.order:start").token, delay=DAY)
    undo = started()
    undo.done("shop.order:start", "order.rejected", compensation=UNDO)
    for world in (pending, timer, leased, retrying):
        world.now += HOUR
        world.review()
        assert world.live.head.stalled == []
        assert world.live.head.idle_at == world.now + HOUR


def test_an_undo_that_waits_for_its_retry_is_not_idle() -> None:
    world = started()
    world.done("shop.reserve:start", "stock.reserved", compensation=UNDO)
    world.done("shop.pay:start", "order.rejected")
    token = world.granted("shop.reserve:start", kind="undo").token
    world.fail("shop.reserve:start", token, kind="undo", delay=DAY)
    world.mark(*world.live.outbox)
    world.now += HOUR
    world.review()
    assert world.live.head.stalled == []


def test_a_retry_whose_copy_was_lost_is_marked_idle_once_its_time_is_over() -> None:
    world = started()
    world.mark("start")
    world.fail("shop.order:start", world.granted("shop.order:start").token, delay=5_000)
    world.now += HOUR
    world.review()
    assert world.live.head.stalled == ["idle"]


def test_a_dead_holder_whose_message_was_lost_is_marked_idle() -> None:
    world = started()
    world.mark("start")
    world.granted("shop.order:start")
    world.now += HOUR
    world.review()
    assert world.live.head.stalled == ["idle"]


@pytest.mark.fault("R10")
def test_an_ended_run_lives_as_long_as_its_retention_and_its_letters() -> None:
    world = started(contract=replace(CONTRACT, retention=DAY))
    world.kill("shop.tell:start")
    world.done("shop.order:start", "order.confirmed")
    world.mark(*world.live.outbox)
    assert agenda.expires_at(world.live) == 0
    world.now += 10 * DAY
    assert not world.review().deleted
    world.discard("shop.tell:start")
    assert agenda.expires_at(world.live) == world.now + DAY
    world.now += DAY - 1
    assert not world.review().deleted
    world.now += 1
    assert world.review().deleted
    assert world.record is None


@pytest.mark.fault("B13")
def test_an_event_outside_workflows_is_remembered_for_seven_days_after_its_last_change() -> None:
    world = World(key="~e1")
    token = world.granted("shop.tell:e1").token
    assert agenda.expires_at(world.live) == NOW + LEASE + 7 * DAY
    world.fail("shop.tell:e1", token, delay=DAY)
    assert agenda.expires_at(world.live) == NOW + DAY + 7 * DAY
    world.now += DAY
    world.done("shop.tell:e1", generation=1)
    assert agenda.expires_at(world.live) == world.now + LEASE + 7 * DAY


def test_a_loose_dead_letter_keeps_its_record() -> None:
    world = World(key="~e1")
    world.kill("shop.tell:e1")
    assert agenda.expires_at(world.live) == 0
    assert agenda.due_at(world.live) == 0
    assert world.live.head.stalled == []


def test_status_says_stalled_before_waiting_and_nothing_after_the_end() -> None:
    world = with_timer("order.reminded", DAY)
    assert agenda.status_of(world.live) == "waiting"
    world.kill("shop.tell:start")
    assert agenda.status_of(world.live) == "stalled"
    world.redrive("shop.tell:start")
    assert agenda.status_of(world.live) == "running"
    world.done("shop.tell:start", "order.confirmed", generation=2)
    assert agenda.status_of(world.live) == "completed"


def test_reviewing_a_record_in_which_nothing_is_due_changes_nothing() -> None:
    world = started()
    before = world.live.fork()
    assert world.review().rows == ()
    assert world.live == before


def test_a_granted_step_is_never_voided_in_a_running_run() -> None:
    world = started()
    token = world.granted("shop.order:start").token
    world.now += 100 * LEASE
    world.review()
    assert world.work("shop.order:start").token == token
    assert isinstance(world.begin("shop.order:start"), Granted)


def test_a_step_that_ends_in_a_letter_while_the_run_completed_is_listed_and_stalls_nothing() -> None:
    world = started()
    token = world.granted("shop.tell:start").token
    world.done("shop.order:start", "order.confirmed")
    world.fail("shop.tell:start", token, outcome="rejected", verdict=verdict("shop.tell:start"))
    assert world.live.head.letters == 1
    assert agenda.status_of(world.live) == "completed"
