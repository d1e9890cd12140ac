"""Effects are guarded by the idempotency key: repeating a step is harmless, doing two steps is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal

import pytest
from sqlalchemy import Connection, insert, select

from contracts.inventory import StockReserved, StockUnavailable
from contracts.orders import OrderAccepted
from contracts.payments import PaymentCharged, PaymentDeclined
from contracts.shipping import ShipmentCreated
from pavane.testing import FakeContext, FakeUndoContext
from services.demo.books import read_books
from services.inventory.database import database_url as inventory_url
from services.inventory.database import open_database, products
from services.inventory.stock import GivenBack, Stock, open_stock
from services.inventory.stocktaking import Product, take_stock
from services.inventory.workers import release_stock, reserve_stock
from services.payments.till import Refunded, open_till
from services.payments.workers import charge_payment, refund_payment
from services.shipping.dock import Recalled, open_dock
from services.shipping.workers import create_shipment, recall_shipment
from tests.services.shop import SHELVES, accepted, order

pytestmark = pytest.mark.usefixtures("kind")


@pytest.fixture
async def stock(kind: str) -> AsyncGenerator[Stock, None]:
    await take_stock(inventory_url(), SHELVES)
    async with open_stock() as stock:
        yield stock


async def test_stock_is_reserved_once_however_often_the_step_runs(stock: Stock) -> None:
    event = OrderAccepted(order=accepted(order(lamp=3)))
    answers = [await reserve_stock(FakeContext(stock, attempt=n), event) for n in (1, 2, 3)]
    assert len(set(map(repr, answers))) == 1
    assert isinstance(answers[0], StockReserved)
    assert (await read_books()).products["lamp"].remaining == 97


async def test_a_refusal_is_repeated_although_there_is_stock_by_now(stock: Stock) -> None:
    short = OrderAccepted(order=accepted(order(bowl=11, lamp=1)))
    first = await reserve_stock(FakeContext(stock), short)
    await take_stock(inventory_url(), [*SHELVES[:1], Product("bowl", "Oak bowl", 1000)])
    assert await reserve_stock(FakeContext(stock, attempt=2), short) == first
    assert isinstance(first, StockUnavailable)
    assert first.product_ids == ("bowl",)


async def test_two_steps_for_one_order_show_as_a_wrong_number(stock: Stock) -> None:
    event = OrderAccepted(order=accepted(order(lamp=3)))
    for run_id in ("run-1", "run-2"):
        await reserve_stock(FakeContext(stock, run_id=run_id), event)
    books = await read_books()
    assert (books.reserved["1"], books.products["lamp"].remaining) == (2, 94)


async def test_a_release_without_reservation_keeps_a_late_worker_from_reserving(stock: Stock) -> None:
    event = OrderAccepted(order=accepted(order(lamp=3)))
    undo = FakeUndoContext(stock, outcome="unknown")
    await release_stock(undo, event, None)
    with pytest.raises(GivenBack):
        await reserve_stock(FakeContext(stock), event)
    assert (await read_books()).products["lamp"].remaining == 100


async def test_stock_is_given_back_once_however_often_the_undo_runs(stock: Stock) -> None:
    event = OrderAccepted(order=accepted(order(lamp=3, bowl=1)))
    await reserve_stock(FakeContext(stock), event)
    for attempt in (1, 2):
        await release_stock(FakeUndoContext(stock, attempt=attempt), event, None)
    books = await read_books()
    assert (books.products["lamp"].remaining, books.products["bowl"].remaining) == (100, 10)


async def test_many_handlers_at_once_share_the_database_and_never_oversell(stock: Stock) -> None:
    """Two processes with sixteen handlers each, as far as the database can tell."""
    async with open_stock() as other:
        answers = await asyncio.gather(
            *(
                reserve_stock(
                    FakeContext(one, run_id=f"{number}"),
                    OrderAccepted(order=accepted(order(f"{number}", bowl=1, lamp=1))),
                )
                for number, one in enumerate([stock, other] * 16)
            )
        )
    assert sum(isinstance(answer, StockReserved) for answer in answers) == 10
    books = await read_books()
    assert (books.products["bowl"].remaining, books.products["lamp"].remaining) == (0, 90)


async def test_a_transaction_that_fails_leaves_nothing_behind(stock: Stock) -> None:
    def fail(transaction: Connection) -> None:
        row = {"product_id": "new", "name": "New", "opening": 1, "free": 1, "discontinued": False}
        transaction.execute(insert(products).values(row))
        raise ZeroDivisionError

    async with open_database(inventory_url()) as database:
        with pytest.raises(ZeroDivisionError):
            await database.transact(fail)
        rows = await database.transact(lambda one: one.execute(select(products.c.product_id)).all())
    assert len(rows) == len(SHELVES)


async def test_a_customer_is_charged_and_refunded_once() -> None:
    event = StockReserved(order=accepted(order(lamp=3)), reservation_id="r")
    async with open_till() as till:
        charged = await charge_payment(FakeContext(till), event)
        assert isinstance(charged, PaymentCharged)
        assert charged.amount == Decimal("60.00")
        assert await charge_payment(FakeContext(till, attempt=2), event) == charged
        for attempt in (1, 2):
            await refund_payment(FakeUndoContext(till, attempt=attempt), event, charged)
        with pytest.raises(Refunded):
            await charge_payment(FakeContext(till, run_id="late"), event)
    books = await read_books()
    assert (books.charged, books.refunded) == ({"1": [Decimal(60)]}, {"1": [Decimal(60)]})


async def test_a_declined_customer_pays_nothing_and_is_refunded_nothing() -> None:
    event = StockReserved(order=accepted(order(lamp=3, price="1000")), reservation_id="r")
    async with open_till() as till:
        for attempt in (1, 2):
            assert isinstance(
                await charge_payment(FakeContext(till, attempt=attempt), event), PaymentDeclined
            )
        await refund_payment(FakeUndoContext(till), event, None)
    books = await read_books()
    assert (books.charged, books.refunded) == ({}, {})


async def test_a_recalled_order_is_not_shipped_and_not_counted() -> None:
    event = PaymentCharged(order=accepted(order(lamp=3)), payment_id="p", amount=Decimal(60))
    async with open_dock() as dock:
        created = await create_shipment(FakeContext(dock), event)
        assert isinstance(created, ShipmentCreated)
        assert await create_shipment(FakeContext(dock, attempt=2), event) == created
        assert (await read_books()).shipped == {"lamp": 3}
        await recall_shipment(FakeUndoContext(dock), event, created)
        with pytest.raises(Recalled):
            await create_shipment(FakeContext(dock, run_id="late"), event)
    assert not +(await read_books()).shipped
