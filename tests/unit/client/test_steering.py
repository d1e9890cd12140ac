"""What people do to a run, by its handle: on the pair in memory, with workers and by a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from pavane import (
    ActionRefused,
    HistoryEntry,
    Reject,
    RunHandle,
    RunNotFound,
    RunStatus,
    Settings,
    UndeclaredEvent,
    UsageError,
)
from pavane.client import Client, sending
from pavane.client.refusals import in_words
from pavane.client.run_handle import read_run
from pavane.core.identity import skipped_id
from pavane.ports.store import Registration
from pavane.testing import Harness
from tests.unit.client.stage import Stage
from tests.unit.testing.shop import Charged, Declined, Placed, Reserved, Shop, orders, shop

CHARGE = "payment.charge"
Run = RunHandle[Charged]
Act = Callable[[RunHandle[Any]], Awaitable[RunStatus]]


@pytest.fixture
def built() -> Shop:
    return shop()


@pytest.fixture
async def harness(built: Shop) -> AsyncIterator[Harness]:
    async with Harness(built.app) as entered:
        yield entered


async def stalled(harness: Harness) -> Run:
    """A run whose charge is dead."""
    harness.fail(CHARGE, Reject("the bank does not know us"))
    run = await harness.start(orders, Placed(order="1"))
    await harness.until_idle()
    await harness.assert_status(run, "stalled")
    return run


async def step_of(run: RunHandle[Any], worker: str) -> str:
    [step] = await run.steps(worker=worker).all()
    return step.step_id


async def lines(run: RunHandle[Any], kind: str) -> list[HistoryEntry]:
    return [line for line in await run.history().all() if line.kind == kind]


# cancel and compensate


async def test_a_cancelled_run_is_undone_and_says_who_wanted_it(harness: Harness, built: Shop) -> None:
    run = await stalled(harness)
    status = await run.cancel("the customer gave up", by="operator-1")
    assert (status.phase, status.reason) == ("compensating", "cancelled")
    again = await run.cancel("once more", by="operator-2")
    assert again.phase == "compensating"
    ended = await run.wait()
    assert (ended.status, ended.reason, ended.stalled) == ("cancelled", "cancelled", [])
    assert built.done == [("reserve on shelf", "1"), ("give_back", "1")]
    [line] = await lines(run, "cancel_requested")
    assert (line.by, line.reason, line.detail) == ("operator-1", "the customer gave up", {"undo": True})
    assert (await run.cancel("again")).status == "cancelled"


async def test_a_run_cancelled_without_undo_ends_at_once_and_names_what_is_left(
    harness: Harness, built: Shop
) -> None:
    run = await stalled(harness)
    status = await run.cancel("it is on paper now", undo=False)
    assert status.status == "cancelled"
    [line] = await lines(run, "cancelled")
    assert line.detail == {"left": [await step_of(run, "stock.reserve")], "left_count": 1}
    assert ("give_back", "1") not in built.done
    with pytest.raises(ActionRefused, match="has ended, cancelled"):
        await run.cancel("undo it after all")


async def test_a_run_that_is_given_up_is_undone(harness: Harness, built: Shop) -> None:
    run = await stalled(harness)
    assert (await run.compensate("the bank has closed", by="operator-1")).reason == "operator"
    assert (await run.compensate("the same")).reason == "operator"
    assert (await run.wait()).status == "compensated"
    assert built.done[-1] == ("give_back", "1")
    [line] = await lines(run, "compensation_started")
    assert (line.by, line.detail["why"]) == ("operator-1", "the bank has closed")
    with pytest.raises(ActionRefused, match="has ended, compensated"):
        await run.cancel("too late")
    # Somebody wanted another ending: that is not lost.
    [late] = await lines(run, "cancel_requested")
    assert (late.by, late.detail["refused"]) == ("harness", "run_compensated")


async def test_a_letter_of_a_compensated_run_is_not_redriven_and_the_report_says_why(
    harness: Harness,
) -> None:
    run = await stalled(harness)
    await run.compensate("the bank has closed")
    await run.wait()
    letters = harness.client.dead_letters
    [letter] = await letters.list(run=run.run).all()
    for dry_run in (True, False):
        report = await letters.redrive(letter.id, dry_run=dry_run)
        assert (report.done, [one.reason for one in report.skipped]) == (0, ["run_compensated"])
    assert in_words("run_compensated") == "the run has ended, compensated"


# pause and resume


async def test_a_paused_run_holds_its_jobs_until_it_is_resumed(harness: Harness, built: Shop) -> None:
    harness.hold("stock.reserve")
    run = await harness.start(orders, Placed(order="1"))
    await harness.until_idle()
    paused = await run.pause("the warehouse moves", by="operator-1")
    assert (paused.status, paused.phase, paused.paused) == ("paused", "running", True)
    harness.release("stock.reserve")
    await harness.advance(60)
    # The step that ran has finished; what it caused has not begun, and no attempt is spent on that.
    assert built.done == [("reserve on shelf", "1")]
    assert harness.calls(CHARGE) == []
    [held] = (await run.status()).waiting_for
    assert (held.kind, held.worker, held.ref.partition(":")[0]) == ("held", CHARGE, CHARGE)
    assert held.since is not None
    assert (await run.pause("for another reason")).paused
    [line] = await lines(run, "paused")
    assert (line.by, line.reason) == ("operator-1", "the warehouse moves")

    assert [one.run for one in await harness.client.runs(waiting_for="held").all()] == [run.run]
    resumed = await run.resume(by="operator-2")
    assert (resumed.paused, resumed.waiting_for) == (False, [])
    assert not (await run.resume()).paused
    assert await run.result() == Charged(order="1")
    [attempt] = harness.calls(CHARGE)
    assert attempt.attempt == 1
    assert [line.by for line in await lines(run, "resumed")] == ["operator-2"]


async def test_a_retry_that_comes_back_in_a_pause_waits_for_people_and_no_longer_for_its_time(
    harness: Harness,
) -> None:
    harness.fail(CHARGE, OSError("the line is dead"))
    run = await harness.start(orders, Placed(order="1"))
    await harness.until_idle()
    await run.pause("have a look first")
    assert [one.kind for one in (await run.status()).waiting_for] == ["retry"]
    await harness.advance(5)
    assert [one.kind for one in (await run.status()).waiting_for] == ["held"]
    await run.resume()
    assert (await run.wait()).status == "completed"


async def test_a_cancel_ends_a_pause(harness: Harness, built: Shop) -> None:
    run = await stalled(harness)
    await run.pause("wait")
    assert not (await run.cancel("no, end it")).paused
    assert (await run.wait()).status == "cancelled"
    assert built.done[-1] == ("give_back", "1")
    [line] = await lines(run, "resumed")
    assert line.reason == "cancelled"


# skip


async def test_a_dead_step_is_skipped_with_an_event_and_the_run_goes_on(
    harness: Harness, built: Shop
) -> None:
    run = await stalled(harness)
    step = await step_of(run, CHARGE)
    status = await run.skip(step, Charged(order="1"), reason="paid by transfer", by="operator-1")
    assert (status.status, status.steps["skipped"], status.stalled) == ("completed", 1, [])
    again = await run.skip(step, Charged(order="1"), reason="paid by transfer")
    assert again.updated_at == status.updated_at
    await harness.until_idle()
    assert built.done[-1] == ("thank", "1")
    harness.assert_emitted(Charged, count=1)
    [skipped] = await run.steps(worker=CHARGE).all()
    assert (skipped.status, skipped.result and skipped.result.payload) == ("skipped", {"order": "1"})
    [line] = await lines(run, "step_skipped")
    assert (line.by, line.reason, line.event) == ("operator-1", "paid by transfer", Charged.event_name)
    assert await harness.client.dead_letters.list().all() == []
    with pytest.raises(ActionRefused, match="with another event"):
        await run.skip(step, Declined(order="1"), reason="no, it was declined")


async def test_the_skips_event_looks_as_if_the_step_had_emitted_it(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    traces = {who: (f"00-{who * 32}-{who * 16}-01", "", "") for who in "ab"}
    monkeypatch.setattr(sending, "present_trace", lambda: traces["a"])
    run = await stalled(harness)
    monkeypatch.setattr(sending, "present_trace", lambda: traces["b"])
    step = await step_of(run, CHARGE)
    await run.skip(step, Charged(order="1"), reason="paid by transfer")
    record = await read_run(harness._means, run.run)
    event = record.events[record.steps[step].result]
    assert event.id == skipped_id(run.run, step, Charged.event_name, b'{"order":"1"}')
    assert (event.producer, f"{CHARGE}:{event.causation}") == (CHARGE, step)
    assert (event.trace, event.hops) == (traces["a"], 0)


async def test_an_event_that_the_worker_does_not_emit_is_refused(harness: Harness) -> None:
    run = await stalled(harness)
    step = await step_of(run, CHARGE)
    with pytest.raises(UndeclaredEvent, match=r"does not emit kittest\.reserved") as caught:
        await run.skip(step, Reserved(order="1", amount=1), reason="a slip")
    assert caught.value.remedy == "It emits: kittest.charged, kittest.declined."
    await harness.assert_status(run, "stalled")


async def test_what_a_worker_emits_is_asked_of_the_services_not_of_the_callers_code(harness: Harness) -> None:
    run = await stalled(harness)
    step = await step_of(run, CHARGE)
    silent = Registration(service="payment", subscriptions={CHARGE: ("kittest.reserved",)}, workflows={})
    await harness._store.register(silent)
    with pytest.raises(UndeclaredEvent, match=f"said what {CHARGE} emits") as caught:
        await run.skip(step, Charged(order="1"), reason="paid")
    assert "--only payment" in caught.value.remedy


async def test_a_skipped_step_is_undone_as_one_of_which_nobody_knows_what_it_did(
    harness: Harness, built: Shop
) -> None:
    harness.fail("stock.reserve", Reject("the shelf is gone"))
    run = await harness.start(orders, Placed(order="1", amount=500))
    await harness.until_idle()
    reserved = Reserved(order="1", amount=500)
    await run.skip(await step_of(run, "stock.reserve"), reserved, reason="done by hand")
    assert (await run.wait()).status == "compensated"
    assert built.done[-1] == ("give_back_unknown", "1")
    [step] = await run.steps(worker="stock.reserve").all()
    assert (step.status, step.undo and step.undo.outcome) == ("undone", "unknown")


async def test_the_skips_event_is_left_to_the_relay_while_the_broker_is_away(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    run = await stalled(harness)
    with harness.broker_down():
        status = await run.skip(await step_of(run, CHARGE), Charged(order="1"), reason="paid")
    assert status.status == "completed"
    assert "relay" in caplog.text
    await harness.advance(60)
    harness.assert_emitted(Charged, count=1)


@pytest.mark.parametrize(
    ("worker", "says", "remedy"),
    [
        ("stock.reserve", "the step is committed", "says how it stands"),
        (CHARGE, "still commit", "Wait until its lease has ended"),
    ],
)
async def test_a_step_that_goes_its_own_way_is_not_skipped(
    harness: Harness, worker: str, says: str, remedy: str
) -> None:
    harness.hold(CHARGE)
    run = await harness.start(orders, Placed(order="1"))
    await harness.until_idle()
    event = Reserved(order="1", amount=1) if worker == "stock.reserve" else Charged(order="1")
    with pytest.raises(ActionRefused, match=says) as caught:
        await run.skip(await step_of(run, worker), event, reason="in a hurry")
    assert remedy in caught.value.remedy
    assert run.run in caught.value.remedy
    with pytest.raises(ActionRefused, match="no such step"):
        await run.skip(f"{CHARGE}:nothing", event, reason="in a hurry")
    harness.release(CHARGE)


# the deadline


async def test_a_run_gets_a_deadline_and_another_one(harness: Harness) -> None:
    run = await stalled(harness)
    soon, later = (harness.now + timedelta(hours=hours) for hours in (1, 3))
    assert (await run.move_deadline(soon, reason="not for ever", by="operator-1")).deadline_at == soon
    assert (
        await run.move_deadline(later, reason="the supplier is late", by="operator-2")
    ).deadline_at == later
    await run.move_deadline(later, reason="the same")
    first, second = await lines(run, "deadline_moved")
    assert (first.by, first.detail) == ("operator-1", {"at": soon.isoformat(), "before": None})
    assert (second.by, second.detail) == ("operator-2", {"at": later.isoformat(), "before": soon.isoformat()})
    await harness.advance(timedelta(hours=2))
    await harness.assert_status(run, "stalled")
    ended = await run.wait()
    assert (ended.status, ended.reason) == ("compensated", "deadline")
    assert ended.ended_at is not None
    assert ended.ended_at >= later


async def test_a_deadline_that_has_passed_or_has_no_zone_is_a_slip(harness: Harness) -> None:
    run = await stalled(harness)
    with pytest.raises(ActionRefused, match="not ahead") as caught:
        await run.move_deadline(harness.now, reason="at once")
    assert "runs cancel" in caught.value.remedy
    with pytest.raises(UsageError, match="time zone"):
        await run.move_deadline(datetime(2030, 1, 1), reason="some day")
    assert (await run.status()).deadline_at is None


# refusals


ACTIONS: dict[str, Act] = {
    "cancelled": lambda run: run.cancel("x"),
    "compensated": lambda run: run.compensate("x"),
    "paused": lambda run: run.pause("x"),
    "resumed": lambda run: run.resume(),
    "skipped": lambda run: run.skip(f"{CHARGE}:1", Charged(order="1"), reason="x"),
    "given another deadline": lambda run: run.move_deadline(datetime.fromisoformat("2030-01-01T00Z"), reason="x"),
}  # fmt: skip


@pytest.mark.parametrize("participle", ACTIONS)
async def test_nothing_is_done_to_a_run_that_does_not_exist(harness: Harness, participle: str) -> None:
    with pytest.raises(RunNotFound) as caught:
        await ACTIONS[participle](harness.run("kit_orders:nothing"))
    assert caught.value.run == "kit_orders:nothing"
    assert caught.value.remedy


@pytest.mark.parametrize("participle", [one for one in ACTIONS if one != "skipped"])
async def test_a_run_that_has_ended_stays_as_it_is(harness: Harness, participle: str) -> None:
    run = await harness.start(orders, Placed(order="1"))
    before = await run.wait()
    said = f"kit_orders:1 cannot be {participle}: the run has ended, completed."
    with pytest.raises(ActionRefused) as caught:
        await ACTIONS[participle](run)
    assert str(caught.value) == said
    assert caught.value.remedy.startswith("A run that has ended stays as it ended")
    assert (await run.status()).model_copy(update={"updated_at": before.updated_at}) == before


async def test_a_run_that_fails_already_is_not_cancelled_and_only_closing_steps_are_skipped(
    harness: Harness,
) -> None:
    run = await stalled(harness)
    harness.hold("stock.reserve")
    await run.compensate("the bank has closed")
    with pytest.raises(ActionRefused, match="the run is compensating") as caught:
        await run.cancel("end it")
    assert "first ending wins" in caught.value.remedy
    with pytest.raises(ActionRefused, match="the run is compensating") as caught:
        await run.skip(await step_of(run, CHARGE), Charged(order="1"), reason="paid")
    assert "failing event has caused" in caught.value.remedy
    harness.release("stock.reserve")


async def test_who_acts_is_the_actor_of_the_settings_unless_somebody_is_named() -> None:
    stage = await Stage.build()
    settings = Settings(namespace="t", actor="night shift")
    client = Client.over(stage.store, stage.broker, settings=settings, clock=stage.clock)
    run = client.run(await stage.start("a"))
    await run.pause("wait")
    await run.move_deadline(datetime.fromisoformat("2030-01-01T00Z"), reason="x")
    await run.resume(by="operator-1")
    await run.cancel("x")
    by = {line.kind: line.by for line in await run.history().all()}
    assert (by["paused"], by["deadline_moved"], by["resumed"], by["cancel_requested"]) == (
        "night shift", "night shift", "operator-1", "night shift",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("run_running", "the run is running"),
        ("run_cancelled", "the run has ended, cancelled"),
        ("step_undoing", "the step is undoing"),
        ("unknown_step", "it has no such step, or that has not begun yet"),
        ("its message is not in q", "its message is not in q"),
        ("something", "something"),
    ],
)
def test_a_code_of_refusal_becomes_words(reason: str, words: str) -> None:
    assert in_words(reason) == words


@pytest.mark.parametrize("said", [{"reason": "x" * 2_001}, {"reason": "short", "by": "x" * 201}])
async def test_a_story_is_not_a_reason(harness: Harness, said: dict[str, str]) -> None:
    run = await stalled(harness)
    with pytest.raises(UsageError, match="characters; "):
        await run.pause(**said)
    assert not (await run.status()).paused
