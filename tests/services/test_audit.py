"""The audit finds what it is there for: each kind of wrong number, told in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from pavane import QueueInfo, RunStatus
from services.demo.audit import audit
from services.demo.books import Books, OrderRow, ProductRow, read_books
from tests.services.shop import ENDINGS, Shop

WRONG: dict[str, tuple[Callable[[Books], object], str]] = {
    "stock below zero": (
        lambda books: books.products.update(lamp=ProductRow(1, -1)),
        "Stock of product lamp is below zero: -1.",
    ),
    "stock that does not add up": (
        lambda books: books.products.update(lamp=ProductRow(100, 97)),
        "Stock of product lamp does not add up: 100 at first, 97 remaining, 2 shipped.",
    ),
    "charged twice": (lambda books: books.charged["1"].append(Decimal(60)), "Order 1 was charged 2 times."),
    "refunded twice": (
        lambda books: books.refunded["5"].append(Decimal(40)),
        "Order 5 was refunded 2 times.",
    ),
    "reserved twice": (lambda books: books.reserved.update(["1"]), "Order 1 was reserved 2 times."),
    "released twice": (lambda books: books.released.update(["4"]), "Order 4 was released 2 times."),
    "shipped twice": (lambda books: books.sent.update(["1"]), "Order 1 was shipped 2 times."),
    "money that does not add up": (
        lambda books: books.refunded.pop("5"),
        "Money does not add up: 100.00 charged, 0.00 refunded, 60.00 in confirmed orders.",
    ),
    "money kept": (
        lambda books: books.refunded.pop("5"),
        "Order 5 is shipment_refused and owes 0, but 40.00 was kept.",
    ),
    "still placed": (
        lambda books: books.orders.update({"1": OrderRow("placed", Decimal(60))}),
        "Order 1 is placed in the orders service's book, but its run is completed.",
    ),
    "another ending": (
        lambda books: books.orders.update({"2": OrderRow("confirmed", Decimal(0))}),
        "Order 2 is confirmed in the orders service's book, but its run is failed.",
    ),
    "no row": (lambda books: books.orders.pop("3"), "Order 3 is not in the orders service's book."),
    "told twice": (
        lambda books: books.notices.update([("1", "customer")]),
        "The customer was told 2 times of order 1.",
    ),
    "never told": (
        lambda books: books.notices.pop(("1", "warehouse")),
        "The warehouse was never told that order 1 is confirmed.",
    ),
}


async def after_one_of_each(shop: Shop) -> tuple[Books, dict[str, RunStatus]]:
    for placed, _ in ENDINGS.values():
        await shop.place(placed)
    return await read_books(), {run.run_id: run async for run in shop.client.runs()}


async def test_books_that_add_up_have_no_violations(shop: Shop) -> None:
    books, runs = await after_one_of_each(shop)
    assert audit(books, runs, await shop.client.queues(), orders=5) == []


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_number_is_told(shop: Shop, wrong: str) -> None:
    books, runs = await after_one_of_each(shop)
    change, sentence = WRONG[wrong]
    change(books)
    assert sentence in audit(books, runs, [], orders=5)


async def test_what_has_not_come_to_its_end_is_told(shop: Shop) -> None:
    books, runs = await after_one_of_each(shop)
    runs["1"] = runs["1"].model_copy(update={"status": "stalled", "stalled": ["idle"]})
    runs["2"] = runs["2"].model_copy(update={"steps": {"committed": 5, "retrying": 1}})
    queue = QueueInfo(worker="orders.accept_order", queue="q", ready=2, dead_letters=1)
    assert set(audit(books, runs, [queue], orders=7)) == {
        "2 orders were never placed.",
        "The run of order 1 has not ended: it is stalled (idle).",
        "Order 2 still has steps that are retrying: 1.",
        "2 messages are left in the queue q.",
        "orders.accept_order has 1 dead letters.",
    }
