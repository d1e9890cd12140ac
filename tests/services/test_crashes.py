"""The sums add up whatever dies: every worker is killed at every point, and everything is delivered twice."""

from __future__ import annotations

from random import Random
from typing import get_args

import pytest

from contracts.inventory import StockReserved, StockUnavailable
from contracts.orders import OrderAccepted, OrderConfirmed, OrderPlaced
from contracts.payments import PaymentCharged, PaymentDeclined
from contracts.shipping import ShipmentCreated, ShipmentRefused
from pavane.testing import CrashPoint
from services.demo.generated import generate
from services.demo.options import Options
from services.demo.stage import app
from tests.services.shop import ENDINGS, Shop, books_of, open_shop

WORKERS = tuple(worker.full_name for worker in app.workers)
UNDOS = tuple(worker.full_name for worker in app.workers if worker.compensation is not None)
POINTS: tuple[CrashPoint, ...] = ("receive", "begin", "handler", "commit", "publish", "mark")


async def place_one_of_each(shop: Shop) -> None:
    runs = [await shop.start_only(placed) for placed, _ in ENDINGS.values()]
    for run in runs:
        await shop.end(run)
    books = await books_of(shop)
    assert {row.status for row in books.orders.values()} == set(ENDINGS)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("worker", WORKERS)
async def test_a_process_that_dies_with_a_step_loses_and_repeats_nothing(
    shop: Shop, worker: str, point: CrashPoint
) -> None:
    shop.crash(worker, after=point)
    await place_one_of_each(shop)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("worker", [undo for undo in UNDOS if undo != "shipping.create_shipment"])
async def test_a_process_that_dies_with_an_undo_loses_and_repeats_nothing(
    shop: Shop, worker: str, point: CrashPoint
) -> None:
    shop.crash(worker, after=point, undo=True)
    await place_one_of_each(shop)


async def test_events_that_arrive_twice_do_nothing_twice(shop: Shop) -> None:
    for event in (
        OrderPlaced,
        OrderAccepted,
        StockReserved,
        StockUnavailable,
        PaymentCharged,
        PaymentDeclined,
        ShipmentCreated,
        ShipmentRefused,
        OrderConfirmed,
    ):
        shop.duplicate(event, times=5)
    await place_one_of_each(shop)


@pytest.mark.parametrize("_round", range(3))
async def test_many_orders_and_many_deaths_still_add_up(_round: int) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    wares = generate(Options(count=40, seed=seed))
    random = Random(seed)
    async with open_shop(*wares.products, seed=seed) as shop:
        for _ in range(25):
            shop.crash(random.choice(WORKERS), after=random.choice(POINTS))
        for _ in range(15):
            shop.fail(random.choice(WORKERS), ConnectionError)
        runs = [await shop.start_only(placed) for placed in wares.orders]
        # Redriven before the runs' ends are waited for: a run that waits for a redrive meets its deadline there.
        await shop.advance(3600)
        while letters := await shop.client.dead_letters.list().all():
            # A job in which three processes happened to die.
            assert {letter.reason for letter in letters} == {"crash_loop"}
            await shop.client.dead_letters.redrive(everything=True)
            await shop.advance(3600)
        for run in runs:
            await shop.end(run)
        books = await books_of(shop)
        assert len(books.orders) == 40


def test_the_points_above_are_the_ones_that_a_job_without_failures_passes() -> None:
    assert set(get_args(CrashPoint)) - set(POINTS) == {"fail", "retry_published", "dead_published"}
