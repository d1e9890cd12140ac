"""What the inventory service tells. Nobody else emits these events."""

from __future__ import annotations

from typing import Literal, TypeAlias

from contracts.orders import Order
from pavane import Event

WhyUnavailable: TypeAlias = Literal["discontinued", "out_of_stock"]


class StockReserved(Event, name="stock.reserved"):
    """Every line of the order is kept for it."""

    order: Order
    reservation_id: str


class StockUnavailable(Event, name="stock.unavailable"):
    """Nothing is kept for the order, because at least one line cannot be served.

    Attributes:
        reason: `discontinued` if one of its products is no longer sold, else `out_of_stock`.
        product_ids: the products that cannot be served.
    """

    order: Order
    reason: WhyUnavailable
    product_ids: tuple[str, ...]
