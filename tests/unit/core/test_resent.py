"""Every call may be sent again, for a reply can be lost: the second answer is the first, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pavane.core.answers import Discarded, Redriven
from pavane.core.calls import CopyMark, TimerSet
from tests.unit.core.world import CONTRACT, UNDO, World, event, started, verdict

JOB = "shop.order:start"
OTHER = "shop.pay:start"

Case = tuple[Callable[[], World], Callable[[World], Any]]


def leased() -> World:
    world = started()
    world.granted(JOB, compensation=UNDO)
    return world


def failing() -> World:
    """A run that waits for the lease of `JOB` to undo it."""
    world = leased()
    world.done(OTHER, "order.rejected")
    return world


def undoing() -> World:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done("shop.b:start", "b.done", compensation=UNDO)
    world.done(OTHER, "order.rejected")
    world.granted("shop.b:start", kind="undo")
    world.mark(*world.live.outbox)
    return world


def rejected() -> World:
    world = started()
    world.kill(JOB)
    return world


def ended() -> World:
    world = started()
    world.done(OTHER, "order.rejected")
    return world


def released_undo() -> World:
    world = undoing()
    world.release("shop.b:start", 4, kind="undo")
    return world


def lost() -> World:
    world = started()
    world.crash(JOB)
    return world


def taken() -> World:
    world = lost()
    world.granted(JOB)
    return world


def exhausted(policy: Any, **given: Any) -> Callable[[World], Any]:
    ruling = verdict(JOB, policy, **given)
    return lambda world: world.fail(JOB, 1, outcome="rejected", verdict=ruling)


TIMER = (TimerSet(key="k", at=5_000, event=event("timer/k", "order.reminded")),)
ANSWER = event("answer", "order.answered")
ENDING = event("answer", "order.rejected")

CASES: dict[str, Case] = {
    "start": (World, lambda world: world.start()),
    "emit": (started, lambda world: world.emit(event("o1"))),
    "emit an ending": (started, lambda world: world.emit(event("o1", "order.confirmed"))),
    "begin": (started, lambda world: world.begin(JOB, begin_id="one")),
    "begin a run": (World, lambda world: world.begin(JOB, begin_id="one", contract=CONTRACT, digest="d")),
    "begin what is refused": (
        ended,
        lambda world: world.begin(JOB, begin_id="one"),
    ),
    "begin an undo": (
        released_undo,
        lambda world: world.begin("shop.b:start", kind="undo", begin_id="one"),
    ),
    "begin with a report": (
        lost,
        lambda world: world.begin(JOB, begin_id="one", ended=(1,)),
    ),
    "commit": (leased, lambda world: world.commit(JOB, 1, "stock.reserved", data=(("a", b"1"),))),
    "commit with a timer": (leased, lambda world: world.commit(JOB, 1, timers=TIMER, relative=("k",))),
    "commit a failing event": (leased, lambda world: world.commit(JOB, 1, "order.rejected")),
    "commit late": (failing, lambda world: world.commit(JOB, 1, "stock.reserved")),
    "commit an undo": (undoing, lambda world: world.commit_undo("shop.b:start", 4)),
    "fail": (leased, lambda world: world.fail(JOB, 1, delay=5_000)),
    "fail for the last time": (leased, exhausted("stall")),
    "fail and compensate": (leased, exhausted("compensate")),
    "fail and answer": (leased, exhausted("answer", answer=ANSWER)),
    "fail and answer with an ending": (leased, exhausted("answer", answer=ENDING)),
    "fail without a verdict": (leased, lambda world: world.fail(JOB, 1, outcome="rejected")),
    "fail in a failing run": (failing, lambda world: world.fail(JOB, 1)),
    "fail an undo": (undoing, lambda world: world.fail("shop.b:start", 4, kind="undo", delay=1_000)),
    "release": (leased, lambda world: world.release(JOB, 1)),
    "release for later": (leased, lambda world: world.release(JOB, 1, after=5_000)),
    "release in a failing run": (failing, lambda world: world.release(JOB, 1)),
    "report": (taken, lambda world: world.release(JOB, 1)),
    "renew": (leased, lambda world: world.renew(JOB, 1, progress=0.5)),
    "reject": (started, lambda world: world.reject(JOB)),
    "reject without a run": (
        lambda: World(key="~x"),
        lambda world: world.reject("shop.order:x", own_record=True),
    ),
    "mark": (started, lambda world: world.mark("start")),
    "mark unrouted": (started, lambda world: world.mark("start", unrouted=("start",))),
    "mark a copy": (
        rejected,
        lambda world: world.mark(copies=(CopyMark(step=JOB, kind="step", generation=1),)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_call_sent_again_is_answered_as_the_first_and_writes_nothing_new(case: str) -> None:
    make, call = CASES[case]
    world = make()
    first = call(world)
    before = world.live.fork()
    second = call(world)
    assert type(second) is type(first)
    assert settled_by(second) == settled_by(first)
    assert world.live == before


def settled_by(answer: Any) -> Any:
    """What a delivery is settled by. Rows that are still pending are named each time; `run_ended` is told once."""
    return replace(answer, run_ended="") if hasattr(answer, "run_ended") else answer


def test_a_redrive_sent_again_wants_its_copy_published_once_more() -> None:
    world = rejected()
    assert world.redrive(JOB, generation=1) == Redriven(outcome="publish", generation=2)
    kept = world.live
    assert world.redrive(JOB, generation=1) == Redriven(outcome="again", generation=2)
    assert world.live is kept


def test_a_discard_sent_again_finds_the_letter_gone() -> None:
    world = rejected()
    assert world.discard(JOB, then="leave").outcome == "done"
    kept = world.live
    assert world.discard(JOB, generation=1, then="leave") == Discarded(outcome="gone")
    assert world.live is kept


@pytest.mark.parametrize("case", CASES)
def test_a_call_never_writes_on_the_record_it_was_given(case: str) -> None:
    make, call = CASES[case]
    world = make()
    given = world.record
    before = given.fork() if given else None
    call(world)
    assert given == before
