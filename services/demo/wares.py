"""What the demo runs on: products on their shelves, and orders in the order they are placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.orders import OrderPlaced
from services.inventory.stocktaking import Product


@dataclass(frozen=True)
class Wares:
    """Products and orders."""

    products: Sequence[Product]
    orders: Sequence[OrderPlaced]
