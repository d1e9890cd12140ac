"""Starting, waiting, looking: a user's test of a flow reads like this."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pavane import Context, RunFailed, UsageError
from pavane.testing import Harness
from tests.unit.testing.shop import (
    Charged,
    Declined,
    Noted,
    Placed,
    Reminded,
    Reserved,
    Shop,
    Stock,
    orders,
    reminders,
    shop,
)


@pytest.fixture
def built() -> Shop:
    return shop()


async def test_a_flow_over_two_services_completes_without_time_passing(built: Shop) -> None:
    async with Harness(built.app) as harness:
        run = await harness.start(orders, Placed(order="1"))
        assert run.created is True
        assert await run.result() == Charged(order="1")
        assert harness.now == datetime(2026, 1, 1, tzinfo=UTC)
        assert built.done == [("reserve on shelf", "1"), ("charge", "1"), ("thank", "1")]
        status = await harness.assert_status(run, "completed")
        assert status.data == {"reserved": "1"}
        assert (await harness.run(orders, "1").status()).steps == {"committed": 3}
        assert (await harness.run("kit_orders:1").status()).run == run.run


async def test_a_failing_event_undoes_what_was_done(built: Shop) -> None:
    async with Harness(built.app) as harness:
        run = await harness.start(orders, Placed(order="1", amount=500))
        with pytest.raises(RunFailed, match="compensated"):
            await run.result()
        await harness.assert_status(run.run, "compensated")
        assert built.done == [("reserve on shelf", "1"), ("charge", "1"), ("give_back", "1")]
        assert [call.outcome for call in harness.calls("stock.reserve", undo=True)] == ["committed"]
        harness.assert_emitted(Declined, count=1, order="1")
        harness.assert_not_emitted(Charged)


async def test_a_year_of_waiting_takes_no_time(built: Shop) -> None:
    began = time.perf_counter()
    async with Harness(built.app) as harness:
        run = await harness.start(reminders, Noted(text="a"))
        status = await run.wait()
        assert (status.status, harness.now) == ("completed", datetime(2027, 1, 1, tzinfo=UTC))
    assert time.perf_counter() - began < 1  # it takes some milliseconds


async def test_the_clock_can_be_moved_by_hand(built: Shop) -> None:
    start = datetime(2030, 6, 1, 12, tzinfo=UTC)
    async with Harness(built.app, start_at=start) as harness:
        run = await harness.start(reminders, Noted(text="a"))
        await harness.until_idle()
        assert harness.now == start
        [waiting] = (await harness.assert_status(run, "waiting")).waiting_for
        assert (waiting.kind, waiting.ref, waiting.until) == ("timer", "year", start + timedelta(days=365))
        await harness.advance(timedelta(days=365) - timedelta(milliseconds=1))
        await harness.assert_status(run, "waiting")
        harness.assert_not_emitted(Reminded)
        await harness.advance(0.001)
        await harness.assert_status(run, "completed")
        assert harness.now == start + timedelta(days=365)


async def test_waiting_has_a_virtual_time_limit(built: Shop) -> None:
    async with Harness(built.app) as harness:
        run = await harness.start(reminders, Noted(text="a"))
        with pytest.raises(TimeoutError, match=r"the timeout has passed[\s\S]*timer year"):
            await run.wait(timeout=timedelta(days=30))
        assert harness.now == datetime(2026, 1, 31, tzinfo=UTC)


async def test_what_can_never_end_is_said_with_history_and_reason(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("payment.charge", ValueError("no card"), times=4)
        run = await harness.start(orders, Placed(order="1"))
        with pytest.raises(AssertionError) as caught:
            await run.wait()
        words = str(caught.value)
        assert "kit_orders:1 has not ended: nothing is due any more" in words
        assert "dead_letter" in words
        assert "step_dead payment.charge kittest.reserved attempt 4 (attempts) error=no card" in words
        with pytest.raises(AssertionError, match=r"is stalled, not completed[\s\S]*run_started"):
            await harness.assert_status(run, "completed")


async def test_many_runs_are_waited_for_together(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", ConnectionError, times=2)
        runs = [await harness.start(orders, Placed(order=str(number))) for number in range(20)]
        results = await asyncio.gather(*(run.result() for run in runs))
        assert results == [Charged(order=str(number)) for number in range(20)]
        assert await harness.client.runs(status="completed").count() == 20


async def test_events_are_found_by_type_run_and_fields(built: Shop) -> None:
    async with Harness(built.app) as harness:
        first = await harness.start(orders, Placed(order="1"))
        await first.wait()
        second = await harness.start(orders, Placed(order="2", amount=20))
        await second.wait()
        assert [event.order for event in harness.events(Placed)] == ["1", "2"]
        assert harness.events(Reserved, run=second) == [Reserved(order="2", amount=20)]
        assert harness.events(Placed, run="kit_orders:1") == [Placed(order="1")]
        # Nobody subscribes to it, and it was published all the same.
        harness.assert_not_emitted(Declined)
        assert harness.assert_emitted(Reserved) == harness.events(Reserved)
        assert harness.assert_emitted(Reserved, amount=20, count=1) == [Reserved(order="2", amount=20)]
        with pytest.raises(AssertionError, match=r"3 kittest.reserved wanted, 2 published"):
            harness.assert_emitted(Reserved, count=3)
        with pytest.raises(AssertionError, match=r"at least one kittest.reserved with amount=7"):
            harness.assert_emitted(Reserved, amount=7)
        with pytest.raises(AssertionError, match=r"0 kittest.placed wanted"):
            harness.assert_not_emitted(Placed)
        with pytest.raises(UsageError, match="no field amout"):
            harness.assert_emitted(Reserved, amout=20)


async def test_events_outside_runs_start_them_or_belong_to_none(built: Shop) -> None:
    async with Harness(built.app) as harness:
        await harness.emit(Placed(order="9"))
        await harness.until_idle()
        await harness.assert_status("kit_orders:9", "completed")
        assert harness.events(Placed, run="kit_orders:9") == [Placed(order="9")]
        await harness.emit(Charged(order="loose"))
        await harness.until_idle()
        assert built.done[-1] == ("thank", "loose")
        assert harness.events(Charged) == [Charged(order="9"), Charged(order="loose")]


async def test_an_event_is_brought_into_a_run(built: Shop) -> None:
    async with Harness(built.app) as harness:
        run = await harness.start(reminders, Noted(text="a"))
        await harness.emit(Reminded(order="a"), run=run)
        assert (await run.wait()).status == "completed"
        assert harness.now == datetime(2026, 1, 1, tzinfo=UTC)
        assert harness.events(Reminded, run=run) == [Reminded(order="a")]


async def test_calls_outlive_the_retention_of_their_runs(built: Shop) -> None:
    async with Harness(built.app) as harness:
        for _ in range(2):
            run = await harness.start(orders, Placed(order="1"))
            assert run.created
            await run.wait()
            await harness.advance(timedelta(days=31))
        assert [call.attempt for call in harness.calls("stock.reserve")] == [1, 1]
        assert await harness.client.runs().count() == 0


async def test_resources_come_from_the_lifespan_or_by_name(built: Shop) -> None:
    async with Harness(built.app) as harness:
        await (await harness.start(orders, Placed(order="1"))).wait()
        assert [stock.closed for stock in built.opened] == [False]
    assert [stock.closed for stock in built.opened] == [True]
    other = Stock(name="van")
    async with Harness(built.app, resources={"stock": other}) as harness:
        await (await harness.start(orders, Placed(order="2"))).wait()
    assert ("reserve on van", "2") in built.done
    assert (len(built.opened), other.closed) == (1, False)
    with pytest.raises(UsageError, match="no service 'stok'"):
        Harness(built.app, resources={"stok": other})


async def test_a_lifespan_that_fails_is_told_at_once(built: Shop) -> None:
    def broken() -> Any:
        raise OSError("no disk")

    built.app.services[0].lifespan = broken
    with pytest.raises(OSError, match="no disk"):
        async with Harness(built.app):
            pass


async def test_watching_a_run_moves_the_clock_too(built: Shop) -> None:
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", ConnectionError)
        run = await harness.start(orders, Placed(order="1"))
        kinds = [entry.kind async for entry in run.watch()]
        assert kinds[:3] == ["run_started", "step_started", "step_retrying"]
        assert kinds[-1] == "completed"


async def test_the_seed_is_shown_when_a_test_fails(built: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        async with Harness(built.app, seed=4711) as harness:
            assert harness.seed == 4711
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await fail()
    assert caught.value.__notes__ == ["pavane: Harness(seed=4711) repeats this order of events."]
    assert "Harness(seed=4711)" in capsys.readouterr().err


async def test_a_fixture_shows_the_seed_under_pytest_and_nowhere_else(
    built: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Harness(built.app) as harness:
        assert f"Harness(seed={harness.seed})" in capsys.readouterr().out
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    async with Harness(built.app):
        pass
    assert tuple(capsys.readouterr()) == ("", "")


async def test_what_makes_no_sense_is_refused(built: Shop) -> None:
    harness = Harness(built.app)
    for refused in (lambda: harness.client, lambda: harness.run("kit_orders:1")):
        with pytest.raises(UsageError, match="has not been entered"):
            refused()
    with pytest.raises(UsageError, match="has not been entered"):
        await harness.until_idle()
    with pytest.raises(UsageError, match="time zone"):
        Harness(built.app, start_at=datetime(2026, 1, 1))
    with pytest.raises(UsageError, match="patience"):
        Harness(built.app, patience=-1)
    async with harness:
        with pytest.raises(UsageError, match="advance"):
            await harness.advance(-1)
        for call in (
            lambda: harness.calls("stock.sell"),
            lambda: harness.hold("sell"),
            lambda: harness.fail("payment.charge", OSError, undo=True),
            lambda: harness.fail("payment.charge", UnicodeDecodeError),
            lambda: harness.fail("payment.charge", OSError, times=0),
            lambda: harness.crash("stock.reserve", after="lunch"),  # type: ignore[arg-type]
            lambda: harness.replace("", print),
        ):
            with pytest.raises(UsageError):
                call()


async def test_a_handler_that_hangs_is_named(built: Shop) -> None:
    never = asyncio.Event()

    async def hangs(ctx: Context, event: Reserved) -> Charged:
        await never.wait()
        return Charged(order=event.order)

    async with Harness(built.app, patience=0.05) as harness:
        harness.replace("payment.charge", hangs)
        run = await harness.start(orders, Placed(order="1"))
        with pytest.raises(AssertionError, match=r"payment.charge \(.*hangs\) is still running after 0.05 s"):
            await harness.until_idle()
        # Time goes on while it hangs, so its timeout comes, and another attempt, which ends.
        harness.replace("payment.charge", lambda ctx, event: Charged(order=event.order))
        assert (await run.wait()).status == "completed"
        assert [call.outcome for call in harness.calls("payment.charge")] == ["timed_out", "committed"]
        first, second = harness.calls("payment.charge")
        assert first.ended_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
        assert first.ended_at is not None
        assert first.delay_s is not None
        assert second.started_at == first.ended_at + timedelta(seconds=first.delay_s)


async def test_a_handler_that_takes_real_time_is_waited_for(built: Shop) -> None:
    async def slow(ctx: Context, event: Reserved) -> Charged:
        await asyncio.sleep(0.05)
        return Charged(order=event.order)

    async with Harness(built.app) as harness:
        harness.replace("payment.charge", slow)
        await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await harness.assert_status("kit_orders:1", "completed")


async def test_a_plain_function_that_hangs_does_not_stop_the_clock(built: Shop) -> None:
    let_go = asyncio.Event()

    def hangs(ctx: Context, event: Reserved) -> Charged:
        while not let_go.is_set():
            time.sleep(0.001)
        return Charged(order=event.order)

    async with Harness(built.app, patience=0.05) as harness:
        harness.replace("payment.charge", hangs)
        run = await harness.start(orders, Placed(order="1"))
        await harness.advance(60)
        let_go.set()
        assert (await run.wait()).status == "completed"
        assert [call.outcome for call in harness.calls("payment.charge")] == ["timed_out", "committed"]


async def test_what_never_comes_to_rest_is_said(built: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from pavane import NotNow
    from pavane.testing import pace

    monkeypatch.setattr(pace, "MOST_TURNS", 500)
    async with Harness(built.app) as harness:
        harness.fail("stock.reserve", NotNow("busy", after=0), times=1000)
        await harness.start(orders, Placed(order="1"))
        with pytest.raises(AssertionError, match="never comes to rest"):
            await harness.until_idle()
