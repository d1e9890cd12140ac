"""What must be true of the books, whatever has happened on the way. Each violation is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pavane import QueueInfo, RunStatus
from services.demo.books import Books
from services.demo.drive import TERMINAL

ENDINGS = {
    "confirmed": ("completed",),
    "discontinued": ("failed",),
    "out_of_stock": ("failed",),
    "payment_declined": ("compensated",),
    "shipment_refused": ("compensated",),
    "abandoned": ("failed", "compensated", "cancelled"),
}
"""The statuses that the run of an order with this status in the orders service's book may have."""

UNSETTLED = {"running", "retrying", "undoing", "undo_stuck"}

RECIPIENTS = ("customer", "warehouse", "accounting")


def audit(
    books: Books, runs: Mapping[str, RunStatus], queues: Sequence[QueueInfo], *, orders: int
) -> list[str]:
    """Every violation; empty if the books add up.

    Args:
        orders: how many there were to be placed.
    """
    return [
        *([f"{orders - len(runs)} orders were never placed."] if len(runs) < orders else []),
        *_runs(books, runs),
        *_stock(books),
        *_money(books),
        *_done_twice(books),
        *_notices(books),
        *_queues(queues),
    ]


def _runs(books: Books, runs: Mapping[str, RunStatus]) -> Iterator[str]:
    for order_id, run in runs.items():
        row = books.orders.get(order_id)
        if run.status not in TERMINAL:
            why = f" ({', '.join(run.stalled)})" if run.stalled else ""
            yield f"The run of order {order_id} has not ended: it is {run.status}{why}."
        elif row is None:
            yield f"Order {order_id} is not in the orders service's book."
        elif run.status not in ENDINGS.get(row.status, ()):
            yield f"Order {order_id} is {row.status} in the orders service's book, but its run is {run.status}."
        for unsettled in sorted(run.steps.keys() & UNSETTLED):
            yield f"Order {order_id} still has steps that are {unsettled}: {run.steps[unsettled]}."


def _stock(books: Books) -> Iterator[str]:
    for product_id, row in books.products.items():
        shipped = books.shipped[product_id]
        if row.remaining < 0:
            yield f"Stock of product {product_id} is below zero: {row.remaining}."
        if row.opening != row.remaining + shipped:
            yield (
                f"Stock of product {product_id} does not add up: "
                f"{row.opening} at first, {row.remaining} remaining, {shipped} shipped."
            )


def _money(books: Books) -> Iterator[str]:
    charged, refunded, confirmed = books.money_charged, books.money_refunded, books.money_confirmed
    if charged - refunded != confirmed:
        yield (
            f"Money does not add up: {charged} charged, {refunded} refunded, {confirmed} in confirmed orders."
        )
    for order_id, row in books.orders.items():
        paid = sum(books.charged.get(order_id, ()), Decimal(0))
        paid -= sum(books.refunded.get(order_id, ()), Decimal(0))
        owed = row.value if row.status == "confirmed" else Decimal(0)
        if paid != owed:
            yield f"Order {order_id} is {row.status} and owes {owed}, but {paid} was kept."


def _done_twice(books: Books) -> Iterator[str]:
    done = {
        "charged": {order_id: len(amounts) for order_id, amounts in books.charged.items()},
        "refunded": {order_id: len(amounts) for order_id, amounts in books.refunded.items()},
        "reserved": books.reserved,
        "released": books.released,
        "shipped": books.sent,
        "recalled": books.recalled,
    }
    for what, times in done.items():
        for order_id, count in times.items():
            if count > 1:
                yield f"Order {order_id} was {what} {count} times."


def _notices(books: Books) -> Iterator[str]:
    for (order_id, recipient), count in books.notices.items():
        if count > 1:
            yield f"The {recipient} was told {count} times of order {order_id}."
    for order_id, row in books.orders.items():
        for recipient in RECIPIENTS:
            if row.status == "confirmed" and not books.notices[order_id, recipient]:
                yield f"The {recipient} was never told that order {order_id} is confirmed."


def _queues(queues: Sequence[QueueInfo]) -> Iterator[str]:
    for queue in queues:
        if queue.ready:
            yield f"{queue.ready} messages are left in the queue {queue.queue}."
        if queue.dead_letters:
            yield f"{queue.worker} has {queue.dead_letters} dead letters."
