"""The inventory service: `python -m services.inventory`, or `pavane run services.inventory:app`."""

from contracts.order_fulfilment import order_fulfilment
from pavane import App
from services.inventory.workers import inventory

__all__ = ["app", "inventory"]

app = App(services=[inventory], workflows=[order_fulfilment])
