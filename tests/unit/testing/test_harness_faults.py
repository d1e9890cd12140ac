"""Faults that are ordered, and what becomes of the work all the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from pavane import BrokerUnavailable, Context, NotNow, Reject, Retry, RunFailed, StateUnavailable
from pavane.testing import CrashPoint, Harness
from tests.unit.testing.shop import Charged, Noted, Placed, Reserved, Shop, Stock, orders, reminders, shop

START = datetime(2026, 1, 1, tzinfo=UTC)
OF_FAILURES = ("fail", "retry_published", "dead_published")


@pytest.fixture
def built() -> Shop:
    return shop()


def since_start(moments: list[datetime]) -> list[float]:
    return [(moment - START).total_seconds() for moment in moments]


async def test_failed_attempts_come_at_their_times(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", ConnectionError("away"), times=3)
        run = await harness.start(orders, Placed(order="1"))
        await run.result()
        calls = harness.calls("stock.reserve")
        assert since_start([call.started_at for call in calls]) == [0, 1, 3, 7]
        assert [call.outcome for call in calls] == ["failed", "failed", "failed", "committed"]
        assert [call.error for call in calls] == ["away", "away", "away", None]
        assert [call.delay_s for call in calls] == [1, 2, 4, None]
        assert [what for what, _ in built.done].count("reserve on shelf") == 1


async def test_faults_are_used_up_in_the_order_they_were_given(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", Retry("later", after=10))
        harness.fail("stock.reserve", NotNow("closed", after=20))
        harness.fail("stock.reserve", OSError)
        run = await harness.start(orders, Placed(order="1"))
        await run.result()
        calls = harness.calls("stock.reserve")
        assert [(call.attempt, call.outcome) for call in calls] == [
            (1, "failed"),
            (2, "released"),
            (2, "failed"),
            (3, "committed"),
        ]
        assert since_start([call.started_at for call in calls]) == [0, 10, 30, 32]


async def test_a_dead_letter_is_found_and_redriven(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("payment.charge", Reject("stolen card"))
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await harness.assert_status(run, "stalled")
        [letter] = await harness.client.dead_letters.list().all()
        assert (letter.worker, letter.reason, letter.error) == ("payment.charge", "rejected", "stolen card")
        report = await harness.client.dead_letters.redrive(letter.id, reason="it was found")
        assert (report.matched, report.done) == (1, 1)
        assert await run.result() == Charged(order="1")
        assert await harness.client.dead_letters.list().count() == 0


async def test_an_undo_is_tried_again_and_then_reported(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", ConnectionError, undo=True, times=2)
        run = await harness.start(orders, Placed(order="1", amount=500))
        with pytest.raises(RunFailed):
            await run.result()
        calls = harness.calls("stock.reserve", undo=True)
        assert [call.outcome for call in calls] == ["failed", "failed", "committed"]
        assert built.done.count(("give_back", "1")) == 1

        harness.fail("stock.reserve", Reject("gone"), undo=True)
        run = await harness.start(orders, Placed(order="2", amount=500))
        with pytest.raises(AssertionError, match="undo_stuck"):
            await run.wait()
        [letter] = await harness.client.dead_letters.list(worker="stock.reserve").all()
        assert letter.kind == "undo"
        await harness.client.dead_letters.redrive(letter.id)
        assert (await run.wait()).status == "compensated"


@pytest.mark.parametrize("point", get_args(CrashPoint))
async def test_a_crash_at_any_point_changes_nothing_but_time(built: Shop, point: CrashPoint) -> None:
    async with Harness(built.app) as harness:
        if point in OF_FAILURES:
            harness.fail("stock.reserve", Reject("no") if point == "dead_published" else OSError("away"))
        harness.crash("stock.reserve", after=point)
        run = await harness.start(orders, Placed(order="1"))
        if point == "dead_published":
            await harness.advance(600)
            [letter] = await harness.client.dead_letters.list().all()
            await harness.client.dead_letters.redrive(letter.id)
        assert await run.result() == Charged(order="1")
        await harness.advance(3600)
        assert len(built.opened) == 2, "the process died once"
        assert [what for what, _ in built.done][-2:] == ["charge", "thank"]
        for worker in ("stock.reserve", "payment.charge", "payment.thank"):
            # The mark comes late: the next step has begun by then, and dies with the process.
            assert [call.outcome for call in harness.calls(worker)].count("committed") == 1
            if point != "mark" and worker != "stock.reserve":
                assert len(harness.calls(worker)) == 1
        assert (await harness.assert_status(run, "completed")).steps == {"committed": 3}
        harness.assert_emitted(Reserved, count=1)
        harness.assert_emitted(Charged, count=1)
        hosts = [call.host for call in harness.calls("payment.thank")]
        assert hosts == ["harness:2"]


@pytest.mark.parametrize(
    "point", ["receive", "begin", "handler", "commit", "publish", "fail", "retry_published"]
)
async def test_a_crash_during_an_undo_undoes_once(built: Shop, point: CrashPoint) -> None:
    async with Harness(built.app) as harness:
        if point in OF_FAILURES:
            harness.fail("stock.reserve", OSError, undo=True)
        harness.crash("stock.reserve", after=point, undo=True)
        run = await harness.start(orders, Placed(order="1", amount=500))
        assert (await run.wait()).status == "compensated"
        await harness.until_idle()
        assert len(built.opened) == 2
        assert [call.outcome for call in harness.calls("stock.reserve", undo=True)].count("committed") == 1
        handled = 2 if point == "handler" else 1
        assert built.done.count(("give_back", "1")) == handled


async def test_a_crash_takes_every_job_of_the_process(built: Shop) -> None:
    """A handler of another job dies too, gives nothing back, and runs again when its lease is over."""
    async with Harness(built.app) as harness:
        harness.hold("stock.reserve")
        held = await harness.start(orders, Placed(order="held"))
        await harness.until_idle()
        harness.crash("payment.note", after="commit")
        await harness.start(reminders, Noted(text="a"))
        await harness.until_idle()
        harness.release("stock.reserve")
        await harness.until_idle()
        assert [call.outcome for call in harness.calls("stock.reserve")] == [None]
        await held.result()
        calls = harness.calls("stock.reserve")
        assert [(call.attempt, call.outcome, call.host) for call in calls] == [
            (1, "lost", "harness:1"),
            (2, "committed", "harness:2"),
        ]
        assert since_start([call.started_at for call in calls]) == [0, 30]
        assert [stock.closed for stock in built.opened] == [False, False]
    assert [stock.closed for stock in built.opened] == [True, True]


async def test_a_dying_handler_tells_nobody_anything(built: Shop) -> None:
    """What a handler does while it is cancelled reaches neither store nor broker."""

    async def stubborn(ctx: Context[Stock], event: Placed) -> Reserved:
        try:
            while ctx.fencing_token == 1:
                await ctx.heartbeat(note="alive")
                await held.wait()
        finally:
            await ctx.heartbeat(note="cleaning up")
        return Reserved(order=event.order, amount=event.amount)

    held = asyncio.Event()
    async with Harness(built.app, patience=0.02) as harness:
        harness.replace("stock.reserve", stubborn)
        run = await harness.start(orders, Placed(order="1"))
        await harness.advance(1)
        harness.crash("payment.note", after="receive")
        await harness.start(reminders, Noted(text="a"))
        await harness.until_idle()
        [step] = await run.steps().all()
        assert (step.note, step.lease_until) == ("alive", START + timedelta(seconds=30))
        await run.result()


async def test_a_job_that_kills_its_process_again_and_again_becomes_a_letter(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.crash("stock.reserve", after="handler", times=3)
        run = await harness.start(orders, Placed(order="1"))
        with pytest.raises(AssertionError, match="crash_loop"):
            await run.wait()
        [letter] = await harness.client.dead_letters.list().all()
        assert (letter.reason, len(built.opened)) == ("crash_loop", 4)
        await harness.client.dead_letters.redrive(letter.id)
        await run.result()


async def test_a_process_that_dies_while_it_comes_up_is_replaced(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.crash("payment.note", after="receive", times=3)
        run = await harness.start(reminders, Noted(text="a"))
        await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        assert len(built.opened) == 4
        await harness.assert_status(run, "waiting")


async def test_a_lifespan_that_fails_after_a_crash_is_told(built: Shop) -> None:
    async with Harness(built.app) as harness:
        built.app.services[0].lifespan = lambda: open("/no/such/file")  # type: ignore[assignment]  # noqa: SIM115
        harness.crash("payment.note", after="receive")
        await harness.start(reminders, Noted(text="a"))
        with pytest.raises(FileNotFoundError):
            await harness.until_idle()


@pytest.mark.fault("B13")
async def test_duplicates_are_folded(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.duplicate(Placed)
        harness.duplicate(Reserved, times=2)
        for order in "12":
            await (await harness.start(orders, Placed(order=order))).result()
        await harness.advance(3600)
        assert Counter(what for what, _ in built.done) == {"reserve on shelf": 2, "charge": 2, "thank": 2}
        assert [len(harness.calls(worker)) for worker in ("stock.reserve", "payment.charge")] == [2, 2]


async def test_a_replaced_handler_runs_instead(built: Shop) -> None:
    async def free(ctx: Context, event: Reserved) -> Charged:
        return Charged(order=f"{event.order} (free)")

    async with Harness(built.app) as harness:
        harness.replace("payment.charge", free)
        assert await (await harness.start(orders, Placed(order="1"))).result() == Charged(order="1 (free)")
        assert ("charge", "1") not in built.done
    async with Harness(built.app) as harness:
        assert await (await harness.start(orders, Placed(order="1"))).result() == Charged(order="1")


async def test_a_held_handler_keeps_its_lease_until_its_timeout(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.hold("payment.charge")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await harness.advance(59)
        assert [call.outcome for call in harness.calls("payment.charge")] == [None]
        await harness.assert_status(run, "running")
        harness.release("payment.charge")
        await harness.until_idle()
        await harness.assert_status(run, "completed")
        assert len(harness.calls("payment.charge")) == 1

        harness.hold("payment.charge")
        run = await harness.start(orders, Placed(order="2"))
        await harness.advance(61)
        harness.release("payment.charge")
        harness.release("payment.charge")
        assert (await run.wait()).status == "completed"
        outcomes = [call.outcome for call in harness.calls("payment.charge")][1:]
        assert outcomes == ["timed_out", "committed"]
        assert built.done.count(("charge", "2")) == 1, "a held handler is not called"


@pytest.mark.fault("W13")
async def test_a_lease_that_cannot_be_renewed_is_lost_without_an_attempt(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.hold("payment.charge")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        with harness.state_down():
            await harness.advance(45)
            with pytest.raises(StateUnavailable):
                await run.status()
        harness.release("payment.charge")
        assert (await run.wait()).status == "completed"
        assert [(call.attempt, call.outcome) for call in harness.calls("payment.charge")] == [
            (1, "released"),
            (1, "committed"),
        ]


async def test_an_outage_of_the_store_spends_no_attempt(built: Shop) -> None:
    async with Harness(built.app) as harness:
        with harness.state_down():
            with pytest.raises(StateUnavailable):
                await harness.start(orders, Placed(order="1"))
            await harness.emit(Placed(order="1"))
            await harness.advance(3600)
            assert built.done == []
        run = harness.run(orders, "1")
        await harness.advance(5)
        await harness.assert_status(run, "completed")
        assert [call.attempt for call in harness.calls("stock.reserve")] == [1]


async def test_timers_survive_an_outage_of_the_store(built: Shop) -> None:
    async with Harness(built.app) as harness:
        run = await harness.start(reminders, Noted(text="a"))
        await harness.until_idle()
        await harness.advance(timedelta(days=364))
        with harness.state_down():
            await harness.advance(timedelta(days=2))
        await harness.advance(10)
        await harness.assert_status(run, "completed")


async def test_an_outage_of_the_broker_spends_no_attempt(built: Shop) -> None:
    async with Harness(built.app) as harness:
        with harness.broker_down():
            run = await harness.start(orders, Placed(order="1"))
            await harness.advance(600)
            assert built.done == []
            with pytest.raises(BrokerUnavailable):
                await harness.emit(Charged(order="loose"))
            with pytest.raises(AssertionError, match="the broker is switched off"):
                await run.wait()
        assert await run.result() == Charged(order="1")
        assert [call.attempt for call in harness.calls("stock.reserve")] == [1]


async def test_an_outage_of_the_broker_while_a_handler_runs_repeats_nothing(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.hold("stock.reserve")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        with harness.broker_down():
            harness.release("stock.reserve")
            await harness.advance(5)
            harness.assert_not_emitted(Reserved)
        assert await run.result() == Charged(order="1")
        assert [call.outcome for call in harness.calls("stock.reserve")] == ["committed"]
        assert [call.outcome for call in harness.calls("payment.charge")] == ["committed"]


async def test_a_crash_during_an_outage_is_made_good_after_it(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.crash("stock.reserve", after="commit")
        harness.hold("stock.reserve")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        with harness.broker_down():
            harness.release("stock.reserve")
            await harness.advance(60)
        assert await run.result() == Charged(order="1")
        assert [call.outcome for call in harness.calls("stock.reserve")] == ["committed"]
        assert len(built.opened) == 2


async def test_a_run_that_nobody_continues_is_marked_idle_also_after_a_cancelled_timer(built: Shop) -> None:
    async def nothing(ctx: Context, event: Reserved) -> None:
        if event.amount == 1:
            ctx.cancel_timer("a")

    async def wait(ctx: Context[Stock], event: Placed) -> Reserved:
        ctx.after(7200, Reserved(order=event.order, amount=2), key="a")
        return Reserved(order=event.order, amount=event.amount)

    async with Harness(built.app) as harness:
        harness.replace("payment.charge", nothing)
        harness.replace("stock.reserve", wait)
        cancelled = await harness.start(orders, Placed(order="1", amount=1))
        fired = await harness.start(orders, Placed(order="2", amount=0))
        await harness.advance(3599)
        await harness.assert_status(cancelled, "running")
        await harness.advance(1)
        assert (await harness.assert_status(cancelled, "stalled")).stalled == ["idle"]
        await harness.assert_status(fired, "waiting")
        await harness.advance(3600 + 3599)
        await harness.assert_status(fired, "running")
        await harness.advance(1)
        assert (await harness.assert_status(fired, "stalled")).stalled == ["idle"]
