"""Handlers that meet in the database, in one process or in two: on PostgreSQL they really run side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest

from contracts.orders import OrderPlaced
from services.demo.books import read_books
from services.demo.databases import SERVICES
from services.inventory.database import database_url as inventory_url
from services.inventory.stock import GivenBack, Stock, Unavailable, open_stock
from services.inventory.stocktaking import take_stock
from services.notifications.post import open_post
from services.orders.book import open_book
from services.payments.till import Refunded, Till, open_till
from services.shipping.dock import Recalled, open_dock
from tests.services.shop import SHELVES, accepted, order

pytestmark = pytest.mark.usefixtures("kind")

MANY = 24


@pytest.fixture
async def stocks(kind: str) -> AsyncGenerator[tuple[Stock, Stock], None]:
    """Two processes of the inventory service, as far as the database can tell."""
    await take_stock(inventory_url(), SHELVES)
    async with open_stock() as one, open_stock() as other:
        yield one, other


@pytest.fixture
async def tills(kind: str) -> AsyncGenerator[tuple[Till, Till], None]:
    async with open_till() as one, open_till() as other:
        yield one, other


@pytest.mark.parametrize("service", SERVICES)
async def test_processes_that_start_at_once_make_the_tables_once(service: str) -> None:
    module = SERVICES[service]

    async def open_and_close() -> None:
        async with module.open_database(module.database_url()):
            pass

    await asyncio.gather(*(open_and_close() for _ in range(6)))


async def test_the_last_pieces_go_to_as_many_orders_as_there_are_pieces_and_no_line_alone(
    stocks: tuple[Stock, Stock],
) -> None:
    """Half of the orders name their products the other way round: nobody waits in a circle."""
    placed = [
        order(f"{number}", bowl=3, lamp=2) if number % 2 else order(f"{number}", lamp=2, bowl=3)
        for number in range(MANY)
    ]
    answers = await asyncio.gather(
        *(
            stocks[number // 2 % 2].reserve(f"key-{number}", accepted(each))
            for number, each in enumerate(placed)
        )
    )
    assert sum(answer is None for answer in answers) == 3
    assert {answer for answer in answers if answer} == {Unavailable("out_of_stock", ("bowl",))}
    books = await read_books()
    assert (books.products["bowl"].remaining, books.products["lamp"].remaining) == (1, 94)


async def test_stock_is_reserved_once_by_two_workers_under_one_key(stocks: tuple[Stock, Stock]) -> None:
    for number in range(8):
        wanted = accepted(order(f"{number}", lamp=3))
        assert await at_once(stocks, "reserve", f"key-{number}", wanted) == [None] * 4
    books = await read_books()
    assert (books.reserved, books.products["lamp"].remaining) == ({f"{number}": 1 for number in range(8)}, 76)


async def test_a_late_reservation_and_the_release_leave_all_pieces_on_the_shelf(
    stocks: tuple[Stock, Stock],
) -> None:
    one, other = stocks
    for number in range(MANY):
        late, _ = await asyncio.gather(
            one.reserve(f"key-{number}", accepted(order(f"{number}", lamp=3))),
            other.release(f"undo-{number}", f"{number}"),
            return_exceptions=True,
        )
        assert late is None or isinstance(late, GivenBack), late
    assert (await read_books()).products["lamp"].remaining == 100


async def test_a_customer_is_charged_once_by_two_workers_under_one_key(tills: tuple[Till, Till]) -> None:
    for number in range(8):
        dear = "1000" if number % 2 else "20"
        answers = await at_once(
            tills, "charge", f"key-{number}", accepted(order(f"{number}", lamp=3, price=dear))
        )
        assert answers == [dear == "20"] * 4
    assert (await read_books()).charged == {f"{number}": [Decimal(60)] for number in range(0, 8, 2)}


async def test_a_late_charge_and_the_refund_leave_the_customer_with_all_money(
    tills: tuple[Till, Till],
) -> None:
    one, other = tills
    for number in range(MANY):
        late, _ = await asyncio.gather(
            one.charge(f"key-{number}", accepted(order(f"{number}", lamp=3))),
            other.refund(f"undo-{number}", f"{number}"),
            return_exceptions=True,
        )
        assert late is True or isinstance(late, Refunded), late
    books = await read_books()
    assert books.charged == books.refunded


async def test_goods_leave_once_and_not_after_their_recall() -> None:
    async with open_dock() as one, open_dock() as other:
        for number in range(8):
            wanted = accepted(order(f"{number}", lamp=3))
            assert await at_once((one, other), "ship", f"key-{number}", wanted) == [f"PV-{number}"] * 4
            assert await at_once((one, other), "recall", f"undo-{number}", f"{number}") == [None] * 4
            with pytest.raises(Recalled):
                await one.ship(f"late-{number}", wanted)
    books = await read_books()
    assert (set(books.sent.values()), set(books.recalled.values())) == ({1}, {1})


async def test_an_order_is_accepted_and_a_notice_sent_once() -> None:
    placed: list[OrderPlaced] = [order(f"{number}") for number in range(8)]
    async with open_book() as one, open_book() as other:
        for each in placed:
            await asyncio.gather(*(book.accept(accepted(each)) for book in (one, other, one, other)))
    async with open_post() as one, open_post() as other:
        for each in placed:
            await asyncio.gather(
                *(
                    post.send(f"key-{each.order_id}", each.order_id, to="customer", subject="s", text="t")
                    for post in (one, other, one, other)
                )
            )
    books = await read_books()
    assert books.orders.keys() == {each.order_id for each in placed}
    assert books.notices == {(each.order_id, "customer"): 1 for each in placed}


async def at_once(processes: tuple[Any, Any], method: str, key: str, about: object) -> list[Any]:
    """What four handlers answer that do the same under the same key, two in each process."""
    return await asyncio.gather(*(getattr(process, method)(key, about) for process in processes * 2))
