"""Inventory: what is in stock, and for whom it is kept."""

from contracts.inventory.events import StockReserved, StockUnavailable, WhyUnavailable

__all__ = ["StockReserved", "StockUnavailable", "WhyUnavailable"]
