"""The orders service: `python -m services.orders`, or `pavane run services.orders:app`."""

from contracts.order_fulfilment import order_fulfilment
from pavane import App
from services.orders.workers import orders

__all__ = ["app", "orders"]

app = App(services=[orders], workflows=[order_fulfilment])
