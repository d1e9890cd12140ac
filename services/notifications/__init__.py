"""The notifications service: `python -m services.notifications`, or `pavane run services.notifications:app`."""

from contracts.order_fulfilment import order_fulfilment
from pavane import App
from services.notifications.workers import notifications

__all__ = ["app", "notifications"]

app = App(services=[notifications], workflows=[order_fulfilment])
