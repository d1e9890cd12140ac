"""Paused runs, cancelled runs and joins under the harness."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pavane import App, Context, Event, Service, Workflow
from pavane.testing import Harness
from tests.unit.testing.shop import Charged, Placed, orders, shop


class Asked(Event, name="kitsaga.asked"):
    only_flight: bool = False


class Flight(Event, name="kitsaga.flight"): ...


class Hotel(Event, name="kitsaga.hotel"): ...


class Booked(Event, name="kitsaga.booked"): ...


trips = Workflow("kitsaga_trips", starts_with=Asked, completes_with=[Booked])


def travel() -> App:
    agency = Service("agency")

    @agency.queue_worker("flight")
    async def flight(ctx: Context, event: Asked) -> Flight:
        return Flight()

    @agency.queue_worker("hotel")
    async def hotel(ctx: Context, event: Asked) -> Hotel | None:
        return None if event.only_flight else Hotel()

    @agency.queue_worker("complete").on_all(Flight, Hotel)
    async def complete(ctx: Context, a: Flight, b: Hotel) -> Booked:
        return Booked()

    return App(services=[agency], workflows=[trips])


async def test_waiting_for_a_paused_run_says_what_it_holds() -> None:
    built = shop()
    async with Harness(built.app) as harness:
        harness.hold("stock.reserve")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await run.pause("inventory day")
        harness.release("stock.reserve")
        with pytest.raises(AssertionError) as caught:
            await run.wait()
        words = str(caught.value)
        assert "kit_orders:1 has not ended: nothing is due any more" in words
        assert "It is paused" in words
        assert "held payment.charge:" in words
        assert "paused (inventory day)" in words
        assert harness.now < datetime(2026, 1, 2, tzinfo=UTC), "nobody looked every hour whether it is idle"
        assert (await harness.assert_status(run, "paused")).paused
        assert harness.calls("payment.charge") == []
        await run.resume()
        assert await run.result() == Charged(order="1")
        assert [call.outcome for call in harness.calls("payment.charge")] == ["committed"]


async def test_a_paused_run_is_not_idle_and_a_resumed_one_may_become_so() -> None:
    built = shop()
    async with Harness(built.app) as harness:
        harness.hold("stock.reserve")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await run.pause("for days")
        harness.release("stock.reserve")
        await harness.advance(3 * 86_400)
        assert (await harness.assert_status(run, "paused")).stalled == []


async def test_waiting_for_an_open_join_names_it() -> None:
    async with Harness(travel()) as harness:
        run = await harness.start(trips, Asked(only_flight=True))
        with pytest.raises(AssertionError, match=r"nothing is due any more[\s\S]*join agency.complete"):
            await run.wait()
        await harness.assert_status(run, "waiting")
        await harness.emit(Hotel(), run=run)
        assert await run.result() == Booked()
        assert [call.outcome for call in harness.calls("agency.complete")] == ["committed"]
        harness.assert_emitted(Hotel, count=1)


async def test_a_join_completes_without_time_passing() -> None:
    async with Harness(travel()) as harness:
        run = await harness.start(trips, Asked())
        assert await run.result() == Booked()
        assert harness.now == datetime(2026, 1, 1, tzinfo=UTC), (
            "whoever brings the last one publishes its job"
        )


async def test_a_join_that_gets_everything_twice_runs_once() -> None:
    async with Harness(travel()) as harness:
        harness.duplicate(Flight)
        harness.duplicate(Hotel)
        harness.fail("agency.complete", OSError("away"))
        run = await harness.start(trips, Asked())
        await run.result()
        assert [call.outcome for call in harness.calls("agency.complete")] == ["failed", "committed"]


async def test_a_cancelled_run_has_ended() -> None:
    built = shop()
    async with Harness(built.app) as harness:
        harness.hold("payment.charge")
        run = await harness.start(orders, Placed(order="1"))
        await harness.until_idle()
        await run.cancel("changed their mind")
        harness.release("payment.charge")
        assert (await run.wait()).status == "cancelled"
        assert built.done == [("reserve on shelf", "1"), ("charge", "1"), ("give_back", "1")]
