"""Editing a dead letter: what becomes of the old job, of the new one, of the run, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pavane.core import editing
from pavane.core.answers import Committed, Dead, Edited, Granted, Redriven, Refused, UnknownRun
from pavane.core.calls import Edit, Verdict
from pavane.core.identity import joined_id, step_id
from pavane.core.kept import JOINED
from pavane.core.record import Contract
from tests.unit.core.world import UNDO, World, event, letter, started, verdict

JOB = "shop.order:start"
NEW = "shop.order:start+1"


def dead(**given: Any) -> World:
    """A run whose only job is dead, its letter safe in the queue."""
    world = started(**given)
    world.mark("start")
    world.kill(JOB, compensation=UNDO)
    world.mark_copy(JOB, 1)
    return world


def edit(world: World, step: str = JOB, *, id_: str = "", letter_: str = "", **given: Any) -> Edited:
    old = world.live.events.get(world.row(step).event) or event("none")
    given.setdefault("generation", 1)
    call = Edit(
        record=world.key,
        letter=letter_ or letter(step).id,
        step=step,
        event=replace(event(id_ or f"{old.id}+1", old.name), causation=old.id, payload=b'{"mended":1}'),
        by="operator-1",
        reason="mistyped",
        **given,
    )
    return world.apply(editing.edit, call)


# what it does


def test_the_letter_is_closed_and_the_new_job_is_in_the_outbox() -> None:
    world = dead()
    answer = edit(world)
    assert answer.outcome == "done"
    [row] = answer.rows
    assert (row.kind, row.worker, row.step, row.generation, row.edited) == (
        "job",
        "shop.order",
        NEW,
        0,
        True,
    )
    assert (row.event.id, row.event.payload, row.event.causation) == ("start+1", b'{"mended":1}', "start")
    live = world.live
    assert (live.letters, live.head.letters, live.head.stalled, live.head.retrying) == ({}, 0, [], 1)
    assert (world.row(JOB).state, world.row(JOB).replaced_by) == ("dead", "start+1")
    assert (world.row(NEW).state, world.row(NEW).replaces) == ("retrying", JOB)


def test_who_when_why_and_which_event_are_in_the_history() -> None:
    world = dead()
    world.pass_time(5_000)
    edit(world, new_key=True)
    line = next(line for line in world.live.history if line.kind == "redriven")
    assert (line.at, line.by, line.reason, line.step) == (world.now, "operator-1", "mistyped", JOB)
    assert dict(line.detail) == {"edited": "start+1", "key": "new"}


def test_the_new_job_runs_with_the_old_ones_idempotency_key_unless_it_was_to_have_its_own() -> None:
    kept, new = dead(), dead()
    edit(kept)
    edit(new, new_key=True)
    assert kept.granted(NEW, edited=True).key_step == JOB
    assert new.granted(NEW, edited=True).key_step == ""


def test_an_edit_of_an_edit_keeps_the_first_key() -> None:
    world = dead()
    edit(world)
    world.kill(NEW, edited=True)
    assert edit(world, NEW).outcome == "done"
    assert world.granted("shop.order:start+1+1", edited=True).key_step == JOB


def test_the_same_edit_sent_again_is_answered_as_before_and_writes_nothing() -> None:
    world = dead()
    first = edit(world)
    before = world.live
    assert edit(world) == first
    assert world.live is before
    world.mark(f"job/{NEW}")
    assert edit(world) == Edited(outcome="done")


def test_the_run_goes_on_with_what_the_new_job_commits() -> None:
    world = dead()
    edit(world)
    token = world.granted(NEW, edited=True).token
    assert isinstance(world.commit(NEW, token, "order.confirmed"), Committed)
    assert (world.live.head.phase, world.live.head.retrying) == ("completed", 0)


def test_nothing_revives_the_old_job() -> None:
    world = dead()
    edit(world)
    assert world.begin(JOB, generation=1) == Refused(reason="discarded")
    assert world.redrive(JOB, generation=1) == Redriven(outcome="gone", generation=2)
    assert world.discard(JOB, generation=1).outcome == "gone"
    assert isinstance(world.reject(JOB), Committed)
    assert edit(world, id_="other").outcome == "gone"


def test_a_letter_that_was_redriven_or_died_again_is_not_the_one_that_was_seen() -> None:
    world = dead()
    world.redrive(JOB)
    assert edit(world).outcome == "gone"
    world.kill(JOB, generation=2)
    assert edit(world).outcome == "gone"
    assert edit(world, generation=3).outcome == "done"


# undo


def test_both_steps_are_undone_each_with_its_own_arguments() -> None:
    world = dead()
    edit(world)
    world.commit(NEW, world.granted(NEW, edited=True, compensation=UNDO).token, "stock.reserved")
    world.done("shop.pay:stock", "order.rejected")
    assert world.live.undo == [JOB, NEW]
    first = world.granted(JOB, kind="undo")
    assert (first.unknown, first.event and first.event.id) == (True, "start")
    world.commit_undo(JOB, first.token)
    second = world.granted(NEW, kind="undo")
    assert (second.unknown, second.event and second.event.id) == (False, "start+1")


def test_an_edited_job_that_never_began_is_not_undone() -> None:
    world = dead()
    edit(world)
    world.done("shop.pay:stock", "order.rejected")
    assert world.live.undo == [JOB]
    assert world.begin(NEW, edited=True) == Refused(reason="run_compensating")


def test_in_a_parallel_undo_the_edited_step_comes_before_what_caused_its_original() -> None:
    contract = Contract(workflow="order", completes=(), fails=("order.rejected",), undo="parallel")
    world = started(contract=contract)
    world.done("shop.first:start", "mid", compensation=UNDO)
    middle = "shop.order:shop.first:start/mid"
    world.kill(middle)  # no undo of its own
    edit(world, middle, id_="mended")
    world.done("shop.order:mended", "stock.reserved", edited=True, compensation=UNDO)
    world.done("shop.pay:stock", "order.rejected")
    assert world.row("shop.order:mended").holds_up == ["shop.first:start"]
    assert world.row("shop.first:start").awaits == 1


# the receiver's claim


def test_a_job_that_only_claims_to_be_edited_is_no_job() -> None:
    world = started()
    assert world.begin(JOB, edited=True) == Refused(reason="not_edited")
    assert JOB not in world.live.steps
    assert world.kinds()[-1] == "step_refused"
    assert World(key="~forged").begin("shop.order:x", edited=True) == UnknownRun()


def test_an_edited_starting_event_starts_nothing_and_is_no_second_start() -> None:
    world = dead()
    edit(world)
    assert isinstance(world.begin(NEW, edited=True), Granted)
    assert world.live.head.start_event == "start"


def test_the_edited_job_of_a_closing_step_is_closing() -> None:
    world = started()
    world.done(JOB, "order.rejected")
    closing = f"shop.mail:{JOB}/order.rejected"
    world.kill(closing)
    assert world.live.head.phase == "failed"
    assert edit(world, closing, id_="again").outcome == "done"
    assert isinstance(world.begin("shop.mail:again", edited=True), Granted)
    assert world.row("shop.mail:again").closing


# messages that never became a job


def test_a_message_that_nobody_could_validate_is_sent_as_if_it_had_come_so() -> None:
    world = started()
    message = "shop.order:outside"
    world.reject(message, verdict=of_message(message))
    answer = edit(world, message)
    [row] = answer.rows
    assert (row.step, row.edited) == ("shop.order:outside+1", False)
    assert "shop.order:outside+1" not in world.live.steps
    assert world.live.head.stalled == []
    assert isinstance(world.begin("shop.order:outside+1"), Granted)


def test_the_event_that_began_the_run_stays_with_it_also_if_nobody_could_validate_it() -> None:
    world = started()
    world.reject(JOB, verdict=of_message(JOB))
    [row] = edit(world).rows
    assert row.edited
    assert isinstance(world.begin(NEW, edited=True), Granted)
    world = started()
    world.reject(JOB, verdict=of_message(JOB))
    edit(world)
    world.reject(NEW, verdict=of_message(NEW))  # once more in vain
    [row] = edit(world, NEW).rows
    assert row.edited


def test_a_message_outside_workflows_is_edited_in_the_record_of_its_letter() -> None:
    world = World(key="~0123456789abcdef")
    message = "shop.order:odd"
    assert isinstance(world.reject(message, own_record=True, verdict=of_message(message)), Dead)
    [row] = edit(world, message).rows
    assert (row.record, row.edited) == ("~0123456789abcdef", False)


def of_message(step: str, reason: str = "invalid_payload") -> Verdict:
    """What a worker says of a message that it cannot validate."""
    ruling = verdict(step, reason=reason)
    event_id = step.partition(":")[2]
    return replace(ruling, letter=replace(ruling.letter, kind="message", event=event_id))


# refused


def test_an_answered_letter_is_refused() -> None:
    world = started()
    world.kill(JOB, "answer", answer=event("instead"))
    assert edit(world) == Edited(outcome="refused", reason="answered")


@pytest.mark.parametrize(("ending", "phase"), [("order.rejected", "compensating"), ("bad", "failed")])
def test_a_run_that_is_over_takes_no_edited_job(ending: str, phase: str) -> None:
    world = dead(contract=Contract(workflow="order", completes=(), fails=(ending,)))
    if phase == "failed":
        world = started(contract=Contract(workflow="order", completes=(), fails=(ending,)))
        world.kill(JOB)
    world.done("shop.pay:x", ending)
    assert edit(world) == Edited(outcome="refused", reason=f"run_{phase}")


def test_an_undos_letter_is_refused() -> None:
    world = started()
    world.done(JOB, "stock.reserved", compensation=UNDO)
    world.done("shop.pay:stock", "order.rejected")
    world.kill(JOB, kind="undo")
    refused = edit(world, letter_=letter(JOB, "undo").id)
    assert refused == Edited(outcome="refused", reason="undo_letter")


def test_the_letter_of_a_joins_own_job_is_refused() -> None:
    world = started()
    step = step_id("shop.order", joined_id(world.key, "shop.order"))
    world.kill(step, event=event(joined_id(world.key, "shop.order"), JOINED))
    assert edit(world, step) == Edited(outcome="refused", reason="join_letter")


def test_what_nobody_could_read_and_what_names_no_run_is_refused() -> None:
    world = started()
    world.reject("shop.order:odd", event=None)
    assert edit(world, "shop.order:odd") == Edited(outcome="refused", reason="unreadable")
    lost = World(key="~lost")
    lost.reject("shop.order:x", own_record=True, verdict=of_message("shop.order:x", "unknown_run"))
    assert edit(lost, "shop.order:x") == Edited(outcome="refused", reason="unknown_run")


def test_an_event_that_the_run_has_is_refused_and_what_is_not_there_is_gone() -> None:
    world = dead()
    assert edit(world, id_="start") == Edited(outcome="refused", reason="known_event")
    nothing = Edit(record="order:2", letter="x", step=JOB, generation=1, event=event("e"))
    assert editing.edit(None, nothing, 1) == (None, Edited(outcome="gone"))
