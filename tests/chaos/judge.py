"""What must be true when all is over, whoever died on the way. Each violation is a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType

from sqlalchemy import Table, func, select

import services.inventory.database as inventory
import services.notifications.database as notifications
import services.payments.database as payments
import services.shipping.database as shipping
from services.demo.audit import audit
from services.demo.books import Books
from services.demo.stage import app
from tests.chaos.goods import Known
from tests.chaos.keeper import Exit, Kill
from tests.chaos.load import Load
from tests.chaos.plan import Plan

IN_HANDLERS, FULL_KILLS = 15, 50
"""So many of so many kills have to hit a handler; in a smaller round one has to."""

NOTICES: Mapping[str, Sequence[str]] = {
    "confirmed": ("customer", "warehouse", "accounting"),
    "discontinued": ("customer",),
    "out_of_stock": ("customer",),
    "payment_declined": ("customer",),
    "shipment_refused": (),
}
"""Who has to be told of an order, once each, by what became of it."""

EFFECTS: Sequence[tuple[ModuleType, Table]] = (
    (inventory, inventory.reservations),
    (inventory, inventory.releases),
    (payments, payments.charges),
    (payments, payments.refunds),
    (shipping, shipping.shipments),
    (shipping, shipping.recalls),
    (notifications, notifications.notices),
)


def judge_orders(books: Books, known: Mapping[str, Known], load: Load) -> list[str]:
    """Orders, stock and money; `known` is what the orders' files alone say."""
    return [
        *audit(books, load.runs, (), orders=len(known)),
        *_endings(books, known),
        *_discontinued(books, known),
        *_notices(books),
    ]


async def judge_keys() -> list[str]:
    """No effect is there twice under one idempotency key, nor for one order under two."""
    found: list[str] = []
    for service, table in EFFECTS:
        what = [table.c.order_id, *([table.c.recipient] if "recipient" in table.c else [])]
        for columns in ([table.c.idempotency_key], what):
            often = select(*columns, func.count()).group_by(*columns).having(func.count() > 1)
            async with service.open_database(service.database_url()) as database:
                rows = await database.transact(
                    lambda transaction, often=often: transaction.execute(often).all()
                )
            found += [
                f"{table.name}: {' '.join(map(str, row[:-1]))} is there {row[-1]} times." for row in rows
            ]
    return found


def judge_deaths(
    plan: Plan, kills: Sequence[Kill], exits: Sequence[Exit], killed: Sequence[str]
) -> list[str]:
    """The round has to have done what it says: enough kills, in the right places, and no other deaths."""
    found: list[str] = []
    counts = Counter(kill.service for kill in kills)
    for service in app.services:
        if counts[service.name] != plan.kills:
            found.append(f"{service.name} was killed {counts[service.name]} times instead of {plan.kills}.")
    inside = sum(bool(kill.jobs) for kill in kills)
    if inside < (IN_HANDLERS if len(kills) >= FULL_KILLS else 1):
        found.append(f"Only {inside} of {len(kills)} kills hit a handler: this round proves little.")
    for gone in exits:
        if not gone.excused:
            found.append(f"{gone.service} ended by itself with {gone.code}:\n{gone.last_words}")
    if plan.servers and sorted(killed) != ["rabbitmq", "redis"]:
        found.append(f"Of the servers only these were killed: {', '.join(killed) or 'none'}.")
    return found


def judge_letters(load: Load) -> Iterator[str]:
    """Only crash loops may be dead-lettered, and those were redriven."""
    for letter in load.letters.values():
        yield f"{letter.worker} gave up on {letter.run}: {letter.reason}, {letter.error}"


def judge_queues(counts: Mapping[str, int]) -> Iterator[str]:
    """Every queue is there and empty."""
    for queue, count in counts.items():
        if count:
            yield f"{queue} is gone." if count < 0 else f"{count} messages are left in {queue}."


def _endings(books: Books, known: Mapping[str, Known]) -> Iterator[str]:
    for order_id, row in books.orders.items():
        order = known[order_id]
        if not order.may_be(row.status):
            yield f"Order {order_id} is {row.status}, which it cannot be."
        if row.value != order.value:
            yield f"Order {order_id} is worth {order.value}, but {row.value} was written down."


def _discontinued(books: Books, known: Mapping[str, Known]) -> Iterator[str]:
    expected = {order_id for order_id, order in known.items() if order.discontinued}
    found = {order_id for order_id, row in books.orders.items() if row.status == "discontinued"}
    if expected != found:
        yield f"{len(expected)} orders should be rejected as discontinued, {len(found)} were: {expected ^ found}."


def _notices(books: Books) -> Iterator[str]:
    expected = Counter(
        (order_id, who) for order_id, row in books.orders.items() for who in NOTICES.get(row.status, ())
    )
    for order_id, recipient in expected - books.notices:
        yield f"The {recipient} was not told of order {order_id}."
    for order_id, recipient in books.notices - expected:
        yield f"The {recipient} was told of order {order_id} for no reason."
