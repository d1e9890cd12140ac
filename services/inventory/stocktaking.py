"""Stocktaking: what is on the shelves before the first order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert

from services.inventory.database import open_database, products


@dataclass(frozen=True)
class Product:
    """A product and the pieces of it that there are at first."""

    product_id: str
    name: str
    opening: int
    discontinued: bool = False


async def take_stock(url: str, shelves: Iterable[Product]) -> None:
    """Replace the products of the inventory service's database at `url`."""
    rows = [
        {
            "product_id": product.product_id,
            "name": product.name,
            "opening": product.opening,
            "free": product.opening,
            "discontinued": product.discontinued,
        }
        for product in shelves
    ]

    def replace(transaction: Connection) -> None:
        transaction.execute(delete(products))
        if rows:
            transaction.execute(insert(products), rows)

    async with open_database(url) as database:
        await database.transact(replace)
