"""Orders from a folder in the Northwind CSV format: `products.csv`, `orders.csv`, `order_details.csv`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal, DecimalException
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from contracts.orders import OrderLine, OrderPlaced
from services.demo.wares import Wares
from services.inventory.stocktaking import Product

T = TypeVar("T")

STOCK_FACTOR = 10
"""The file's own stock covers 6 % of what its orders ask for: enough to see nothing but shortage."""


class BadFile(Exception):
    """A file is missing, or a row of it cannot be used."""


def read(folder: Path) -> Wares:
    """Products and orders of the folder, the orders by their ids.

    Raises:
        BadFile: naming the file, and the line if it is one line's fault.
    """
    lines: dict[str, list[OrderLine]] = defaultdict(list)
    for order_id, line in _rows(folder / "order_details.csv", _line):
        lines[order_id].append(line)

    def order(row: dict[str, str]) -> OrderPlaced:
        order_id = row["order_id"]
        return OrderPlaced(
            order_id=order_id,
            customer_id=row["customer_id"],
            lines=tuple(lines[order_id]),
            freight=Decimal(row["freight"]),
        )

    orders = _rows(folder / "orders.csv", order)
    # Ids are numbers: of two, the shorter one comes first.
    orders.sort(key=lambda placed: (len(placed.order_id), placed.order_id))
    return Wares(products=_rows(folder / "products.csv", _product), orders=orders)


def _product(row: dict[str, str]) -> Product:
    return Product(
        product_id=row["product_id"],
        name=row["product_name"],
        opening=STOCK_FACTOR * (int(row["units_in_stock"]) + int(row["units_on_order"])),
        discontinued=row["discontinued"] == "1",
    )


def _line(row: dict[str, str]) -> tuple[str, OrderLine]:
    return row["order_id"], OrderLine(
        product_id=row["product_id"],
        unit_price=Decimal(row["unit_price"]),
        quantity=int(row["quantity"]),
        discount=Decimal(row["discount"]),
    )


def _rows(file: Path, read_row: Callable[[dict[str, str]], T]) -> list[T]:
    found: list[T] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            for row in reader:
                try:
                    found.append(read_row(row))
                except (KeyError, ValueError, TypeError, DecimalException) as error:
                    raise BadFile(f"{file}, line {reader.line_num}: {_why(error)}") from error
    except OSError as error:
        raise BadFile(f"{file}: {error.strerror}.") from error
    return found


def _why(error: Exception) -> str:
    match error:
        case KeyError():
            return f"there is no column {error}."
        case ValidationError():
            return (
                "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_url=False)) + "."
            )
        case _:
            return f"a value cannot be read ({error})."
