"""The contract of an order's run, from the placed order to its confirmation or its rejection.

    order.placed     the shop         starts the run
    order.accepted   orders
    stock.reserved   inventory        or stock.unavailable, which fails the run
    payment.charged  payments         or payment.declined, which fails the run
    shipment.created shipping         or shipment.refused, which fails the run
    order.confirmed  orders           completes the run

When a run fails, what was done for the order before is undone, in reverse order.
"""

from __future__ import annotations

from datetime import timedelta

from contracts.inventory import StockUnavailable
from contracts.orders import OrderConfirmed, OrderPlaced
from contracts.payments import PaymentDeclined
from contracts.shipping import ShipmentRefused
from pavane import Workflow

__all__ = ["order_fulfilment"]

order_fulfilment = Workflow(
    "order_fulfilment",
    "From an order to its confirmation",
    starts_with=OrderPlaced,
    run_id=lambda placed: placed.order_id,
    completes_with=[OrderConfirmed],
    fails_with=[StockUnavailable, PaymentDeclined, ShipmentRefused],
    deadline=timedelta(days=7),
)
