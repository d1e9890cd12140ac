"""What the orders service tells. Nobody else emits these events."""

from __future__ import annotations

from contracts.orders.order import Money, Order, OrderLine
from pavane import Event


class OrderPlaced(Event, name="order.placed"):
    """A customer wants something. It comes from the shop and starts the order's run.

    Attributes:
        order_id: also the run's id, so that placing an order twice is harmless.
        freight: dollars.
    """

    order_id: str
    customer_id: str
    lines: tuple[OrderLine, ...]
    freight: Money


class OrderAccepted(Event, name="order.accepted"):
    """The order is in our books, and we know what it is worth."""

    order: Order


class OrderConfirmed(Event, name="order.confirmed"):
    """The goods are on their way and paid for: the order's run is completed."""

    order: Order
    tracking: str
