"""The whole flow, once for each ending, judged by the services' own databases."""

from __future__ import annotations

from decimal import Decimal

import pytest

from contracts.inventory import StockReserved, StockUnavailable
from contracts.notifications import CustomerTold
from contracts.orders import OrderConfirmed, OrderPlaced
from contracts.payments import PaymentCharged, PaymentDeclined
from contracts.shipping import ShipmentCreated, ShipmentRefused
from services.demo.books import read_books
from tests.services.shop import ENDINGS, Shop, books_of, order


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_run_and_the_order_book_tell_the_same_ending(shop: Shop, ending: str) -> None:
    placed, status = ENDINGS[ending]
    run = await shop.place(placed)
    await shop.assert_status(run, status)
    books = await books_of(shop)
    assert books.orders[placed.order_id].status == ending


async def test_a_confirmed_order_is_charged_shipped_and_told_to_three(shop: Shop) -> None:
    run = await shop.place(order(lamp=2, bowl=1, price="19.99"))
    confirmed = await run.result()
    assert confirmed.order.value == Decimal("59.97")
    books = await books_of(shop)
    assert books.money_charged == books.money_confirmed == Decimal("59.97")
    assert books.shipped == {"lamp": 2, "bowl": 1}
    assert (books.products["lamp"].remaining, books.products["bowl"].remaining) == (98, 9)
    assert set(books.notices) == {("1", "customer"), ("1", "warehouse"), ("1", "accounting")}
    shop.assert_emitted(CustomerTold, count=1, order_id="1", notice="confirmation")


@pytest.mark.parametrize("ending", ["discontinued", "out_of_stock"])
async def test_an_order_that_cannot_be_served_keeps_nothing_and_costs_nothing(
    shop: Shop, ending: str
) -> None:
    await shop.place(ENDINGS[ending][0])
    shop.assert_emitted(StockUnavailable, count=1, reason=ending)
    for event in (StockReserved, PaymentCharged, PaymentDeclined, OrderConfirmed):
        shop.assert_not_emitted(event)
    books = await books_of(shop)
    assert not books.reserved, "all lines or none: the lamps are not kept either"
    assert not books.charged
    shop.assert_emitted(CustomerTold, count=1, notice="backorder")


async def test_a_declined_payment_gives_the_stock_back_and_tells_the_customer(shop: Shop) -> None:
    await shop.place(ENDINGS["payment_declined"][0])
    books = await books_of(shop)
    assert (books.reserved["4"], books.released["4"]) == (1, 1)
    assert not books.charged
    assert not books.refunded
    assert books.products["lamp"].remaining == 100
    shop.assert_emitted(CustomerTold, count=1, notice="payment_failure")
    shop.assert_not_emitted(ShipmentCreated)


async def test_a_refused_shipment_gives_money_and_stock_back_in_reverse_order(shop: Shop) -> None:
    run = await shop.place(ENDINGS["shipment_refused"][0])
    books = await books_of(shop)
    assert books.money_charged == books.money_refunded == Decimal(40)
    assert books.released["5"] == 1
    undone = [line.worker async for line in run.history() if line.kind == "undo_done"]
    assert undone == ["payments.charge_payment", "inventory.reserve_stock"]
    shop.assert_emitted(ShipmentRefused, count=1)


BORDERS = {
    "all that there is": (order(bowl=10), "confirmed"),
    "one more than there is": (order(bowl=11), "out_of_stock"),
    "one more than there is, in two lines": (
        OrderPlaced(
            order_id="1",
            customer_id="ANATR",
            lines=order(bowl=5).lines + order(bowl=6).lines,
            freight=Decimal(0),
        ),
        "out_of_stock",
    ),
    "as much as a customer can pay": (order(lamp=1, price="2000.00"), "confirmed"),
    "half a cent more, rounded up": (order(lamp=1, price="2000.005"), "payment_declined"),
    "less than half a cent more, rounded down": (order(lamp=1, price="2000.004"), "confirmed"),
    "as heavy as a carrier takes": (order(freight="50.00"), "confirmed"),
    "a cent heavier": (order(freight="50.01"), "shipment_refused"),
    "discontinued before out of stock": (order(bowl=11, ivory=1), "discontinued"),
    "out of stock before declined": (order(bowl=11, price="2000"), "out_of_stock"),
    "declined before refused": (order(price="2000", freight="99"), "payment_declined"),
    "a product that nobody knows": (order(unicorn=1), "out_of_stock"),
}


@pytest.mark.parametrize("case", BORDERS)
async def test_the_first_rule_that_matches_decides(shop: Shop, case: str) -> None:
    placed, ending = BORDERS[case]
    await shop.place(placed)
    books = await books_of(shop)
    assert books.orders["1"].status == ending


async def test_each_line_is_rounded_half_up_before_they_are_added(shop: Shop) -> None:
    # 0.005 twice: 0.02 when each line is rounded, 0.01 when only the sum is.
    run = await shop.place(order(lamp=1, bowl=1, price="0.01", discount="0.5"))
    assert (await run.result()).order.value == Decimal("0.02")


async def test_stock_given_back_can_be_sold_again(shop: Shop) -> None:
    await shop.place(order("1", bowl=10, freight="60"))
    await shop.place(order("2", bowl=10))
    books = await books_of(shop)
    assert [row.status for row in books.orders.values()] == ["shipment_refused", "confirmed"]


async def test_placing_an_order_twice_is_harmless(shop: Shop) -> None:
    created = [(await shop.place(order())).created for _ in range(2)]
    assert created == [True, False]
    books = await books_of(shop)
    assert books.charged == {"1": [Decimal("40.00")]}


async def test_the_first_come_are_served_and_nothing_is_sold_twice(shop: Shop) -> None:
    for number in range(1, 13):
        await shop.start_only(order(str(number), bowl=3))
    await shop.until_idle()
    statuses = [row.status for row in (await read_books()).orders.values()]
    assert (statuses.count("confirmed"), statuses.count("out_of_stock")) == (3, 9)
    assert (await books_of(shop)).products["bowl"].remaining == 1
