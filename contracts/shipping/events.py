"""What the shipping service tells. Nobody else emits these events."""

from __future__ import annotations

from contracts.orders import Order
from pavane import Event


class ShipmentCreated(Event, name="shipment.created"):
    """A carrier takes the order's goods; `tracking` is what the customer follows them by."""

    order: Order
    tracking: str


class ShipmentRefused(Event, name="shipment.refused"):
    """No carrier takes the order's goods; `reason` is meant for people."""

    order: Order
    reason: str
