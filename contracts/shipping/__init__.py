"""Shipping: what was sent, and what no carrier takes."""

from contracts.shipping.events import ShipmentCreated, ShipmentRefused

__all__ = ["ShipmentCreated", "ShipmentRefused"]
