"""The orders of a round, and what is known of each from its files alone, without any service."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from contracts.orders import OrderPlaced
from services.demo.generated import generate
from services.demo.northwind import read
from services.demo.options import Options
from services.demo.wares import Wares

CENT = Decimal("0.01")
MOST_PAID, MOST_FREIGHT = Decimal(2000), Decimal(50)


@dataclass(frozen=True)
class Known:
    """What the rules say of an order, whatever else is going on.

    Attributes:
        discontinued: it will be rejected for that, in any order of events.
        value: dollars.
    """

    discontinued: bool
    value: Decimal
    freight: Decimal

    def may_be(self, status: str) -> bool:
        """Whether the order can end so. Out of stock depends on who came first; nothing else does."""
        if self.discontinued:
            return status == "discontinued"
        if self.value > MOST_PAID:
            return status in ("payment_declined", "out_of_stock")
        return status in ("shipment_refused" if self.freight > MOST_FREIGHT else "confirmed", "out_of_stock")


@dataclass(frozen=True)
class Goods:
    """Orders and products of a round. `source` says where they are from."""

    wares: Wares
    known: dict[str, Known]
    source: str


def goods_of(options: Options) -> Goods:
    """The first `options.count` orders of its folder, or so many generated ones."""
    if options.orders is None:
        wares = generate(options)
        return Goods(wares, known_from_generated(wares), f"generated with SEED={options.seed}")
    wares = read(options.orders)
    chosen: list[OrderPlaced] = list(wares.orders)[: options.count]
    known = known_from_files(options.orders)
    return Goods(
        Wares(wares.products, chosen),
        {placed.order_id: known[placed.order_id] for placed in chosen},
        f"from {options.orders}",
    )


def known_from_files(folder: Path) -> dict[str, Known]:
    """Computed straight from the CSV files: neither the demo's reading of them nor a service takes part."""
    gone = {row["product_id"] for row in _rows(folder / "products.csv") if row["discontinued"] == "1"}
    freight = {row["order_id"]: Decimal(row["freight"]) for row in _rows(folder / "orders.csv")}
    value: dict[str, Decimal] = defaultdict(Decimal)
    discontinued: set[str] = set()
    for row in _rows(folder / "order_details.csv"):
        price, quantity, discount = (Decimal(row[name]) for name in ("unit_price", "quantity", "discount"))
        value[row["order_id"]] += (price * quantity * (1 - discount)).quantize(CENT, ROUND_HALF_UP)
        if row["product_id"] in gone:
            discontinued.add(row["order_id"])
    return {
        order_id: Known(order_id in discontinued, value[order_id], freight[order_id]) for order_id in freight
    }


def known_from_generated(wares: Wares) -> dict[str, Known]:
    gone = {product.product_id for product in wares.products if product.discontinued}
    known: dict[str, Known] = {}
    for placed in wares.orders:
        amounts = (line.unit_price * line.quantity * (1 - line.discount) for line in placed.lines)
        known[placed.order_id] = Known(
            discontinued=any(line.product_id in gone for line in placed.lines),
            value=sum((amount.quantize(CENT, ROUND_HALF_UP) for amount in amounts), Decimal(0)),
            freight=placed.freight,
        )
    return known


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))
