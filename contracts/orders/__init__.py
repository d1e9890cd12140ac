"""Orders: what customers want, and what became of it."""

from contracts.orders.events import OrderAccepted, OrderConfirmed, OrderPlaced
from contracts.orders.order import Money, Order, OrderLine

__all__ = ["Money", "Order", "OrderAccepted", "OrderConfirmed", "OrderLine", "OrderPlaced"]
