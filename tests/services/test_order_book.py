"""Whatever the ending, the order's own row says so and never stays placed; and who may not undo an order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contracts.notifications import CustomerTold
from contracts.orders import OrderConfirmed
from contracts.shipping import ShipmentCreated
from pavane import Context, Reject
from services.demo.books import read_books
from services.orders.book import OrderBook
from tests.services.shop import ENDINGS, Shop, books_of, order

WEEK = timedelta(days=7, minutes=1)
LETTERS = "dead letters."


async def test_an_order_is_placed_in_the_book_before_anything_else_happens(shop: Shop) -> None:
    shop.hold("inventory.reserve_stock")
    await shop.start_only(order())
    await shop.until_idle()
    assert (await read_books()).orders["1"].status == "placed"
    shop.release("inventory.reserve_stock")
    await shop.until_idle()
    assert (await books_of(shop)).orders["1"].status == "confirmed"


@pytest.mark.parametrize(
    "worker",
    [
        "inventory.reserve_stock",
        "payments.charge_payment",
        "shipping.create_shipment",
        "orders.confirm_order",
    ],
)
async def test_a_run_that_passes_its_deadline_is_undone_and_its_order_abandoned(
    shop: Shop, worker: str
) -> None:
    shop.fail(worker, Reject("broken for a week"))
    run = await shop.place(order(lamp=2, bowl=1))
    await shop.assert_status(run, "stalled")
    assert (await read_books()).orders["1"].status == "placed"
    await shop.advance(WEEK)
    status = await run.status()
    assert (status.phase in ("compensated", "failed"), status.reason) == (True, "deadline")
    books = await read_books()
    assert books.orders["1"].status == "abandoned"
    assert (books.products["lamp"].remaining, books.products["bowl"].remaining) == (100, 10)
    assert books.money_charged == books.money_refunded
    assert not +books.shipped
    assert [one for one in await shop.violations(books) if not one.endswith(LETTERS)] == []


async def test_an_order_confirmed_by_a_step_that_never_commits_is_abandoned(shop: Shop) -> None:
    async def confirm_and_break(ctx: Context[OrderBook], created: ShipmentCreated) -> OrderConfirmed:
        await ctx.resources.confirm(created.order.order_id, created.tracking)
        raise Reject("broken for a week")

    shop.replace("orders.confirm_order", confirm_and_break)
    run = await shop.place(order())
    assert (await read_books()).orders["1"].status == "confirmed"
    await shop.advance(WEEK)
    await shop.assert_status(run, "compensated")
    books = await read_books()
    assert books.orders["1"].status == "abandoned"
    assert [one for one in await shop.violations(books) if not one.endswith(LETTERS)] == []


async def test_an_order_that_never_reached_the_book_leaves_no_row(shop: Shop) -> None:
    shop.fail("orders.accept_order", Reject("broken for a week"))
    run = await shop.place(order())
    await shop.advance(WEEK)
    await shop.assert_status(run, "failed")
    assert not (await read_books()).orders


@pytest.mark.parametrize("ending", ["discontinued", "out_of_stock", "payment_declined", "shipment_refused"])
async def test_a_rejection_that_could_not_be_written_down_is_written_later(shop: Shop, ending: str) -> None:
    shop.fail("orders.reject_order", ConnectionError, times=3)
    placed, status = ENDINGS[ending]
    run = await shop.place(placed)
    await shop.assert_status(run, status)
    assert (await read_books()).orders[placed.order_id].status == "placed"
    await shop.advance(600)
    assert (await books_of(shop)).orders[placed.order_id].status == ending


@pytest.mark.parametrize("recipient", ["customer", "warehouse", "accounting"])
async def test_a_confirmation_that_cannot_be_sent_is_a_dead_letter_and_undoes_nothing(
    shop: Shop, recipient: str
) -> None:
    worker = f"notifications.confirm_to_{recipient}"
    shop.fail(worker, ConnectionError("no mail server"), times=5)
    run = await shop.place(order())
    status = await shop.end(run)
    assert status.status == "completed"
    [letter] = await shop.client.dead_letters.list().all()
    assert (letter.worker, letter.run, letter.error) == (worker, run.run, "no mail server")
    books = await read_books()
    assert books.orders["1"].status == "confirmed"
    assert not books.refunded
    others = {"customer", "warehouse", "accounting"} - {recipient}
    assert {told for _, told in books.notices} == others
    report = await shop.client.dead_letters.redrive(letter.id)
    await shop.until_idle()
    assert report.done == 1
    assert (await books_of(shop)).notices["1", recipient] == 1


@pytest.mark.parametrize("ending", ["discontinued", "payment_declined"])
async def test_a_notice_of_a_rejection_that_cannot_be_sent_is_a_dead_letter_too(
    shop: Shop, ending: str
) -> None:
    worker = "notify_backorder" if ending == "discontinued" else "handle_payment_failure"
    shop.fail(f"notifications.{worker}", Reject("no such address"))
    placed, status = ENDINGS[ending]
    run = await shop.place(placed)
    await shop.assert_status(run, status)
    assert [letter.worker async for letter in shop.client.dead_letters.list()] == [f"notifications.{worker}"]
    assert (await read_books()).orders[placed.order_id].status == ending
    shop.assert_not_emitted(CustomerTold)


async def test_what_goes_wrong_on_the_way_is_tried_again_until_it_works(shop: Shop) -> None:
    for worker in ("inventory.reserve_stock", "payments.charge_payment", "shipping.create_shipment"):
        shop.fail(worker, ConnectionError, times=2)
    run = await shop.place(order())
    assert (await shop.end(run)).status == "completed"
    shop.assert_emitted(ShipmentCreated, count=1)
    await books_of(shop)
