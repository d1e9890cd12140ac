"""Generated orders: the same seed gives the same orders, and each kind of ending has its share.

Stock is plenty, so that what becomes of an order does not depend on which of two comes first: an order is out
of stock because it asks for more than there ever was.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Literal, TypeAlias

from contracts.orders import OrderLine, OrderPlaced
from services.demo.options import Options
from services.demo.wares import Wares
from services.inventory.stocktaking import Product

Fate: TypeAlias = Literal["discontinued", "out_of_stock", "payment_declined", "shipment_refused", "confirmed"]

NAMES = ("Basalt", "Birch", "Copper", "Linen", "Marble", "Oak", "Slate", "Walnut", "Wool", "Zinc")
THINGS = ("bowl", "lamp", "shelf")
GONE = ("Ebony bowl", "Ivory lamp")
UNAVAILABLE = 0.05
"""Share of the orders for a discontinued product, and as large a one for more than there is."""

MOST_LINES, MOST_PIECES = 3, 8
DEAREST = 40
"""Dollars: three lines of eight such pieces stay below what a customer can pay at once."""


def generate(options: Options) -> Wares:
    """`options.count` orders for products of which there is enough for all of them."""
    random = Random(options.seed)
    names = [f"{name} {thing}" for name in NAMES for thing in THINGS]
    opening = options.count * MOST_PIECES + random.randrange(100)
    sold = [Product(str(number), name, opening) for number, name in enumerate(names, 1)]
    gone = [Product(str(len(sold) + number), name, 10, True) for number, name in enumerate(GONE, 1)]
    fates: list[Fate] = [_fate(random, options) for _ in range(options.count)]
    orders = [_order(random, number, fate, sold, gone) for number, fate in enumerate(fates, 1)]
    return Wares(products=[*sold, *gone], orders=orders)


def _fate(random: Random, options: Options) -> Fate:
    drawn = random.random()
    if drawn < options.decline:
        return "payment_declined"
    if drawn < options.decline + options.refuse:
        return "shipment_refused"
    rest = random.random()
    return "discontinued" if rest < UNAVAILABLE else "out_of_stock" if rest < 2 * UNAVAILABLE else "confirmed"


def _order(random: Random, number: int, fate: Fate, sold: list[Product], gone: list[Product]) -> OrderPlaced:
    lines = [
        OrderLine(
            product_id=product.product_id,
            unit_price=_dollars(random, 1, DEAREST),
            quantity=random.randint(1, MOST_PIECES),
            discount=Decimal(random.choice(("0", "0", "0.05", "0.15"))),
        )
        for product in random.sample(sold, random.randint(1, MOST_LINES))
    ]
    first = lines[0]
    if fate == "discontinued":
        lines[0] = first.model_copy(update={"product_id": random.choice(gone).product_id})
    elif fate == "out_of_stock":
        lines[0] = first.model_copy(update={"quantity": sold[0].opening + random.randint(1, 9)})
    elif fate == "payment_declined":
        lines[0] = first.model_copy(update={"unit_price": _dollars(random, 2500, 9000)})
    freight = _dollars(random, 51, 400) if fate == "shipment_refused" else _dollars(random, 0, 50)
    return OrderPlaced(
        order_id=str(1000 + number),
        customer_id=f"C{random.randint(1, 20):03}",
        lines=tuple(lines),
        freight=freight,
    )


def _dollars(random: Random, least: int, most: int) -> Decimal:
    return Decimal(random.randint(least * 100, most * 100)).scaleb(-2)
