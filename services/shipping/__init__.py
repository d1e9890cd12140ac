"""The shipping service: `python -m services.shipping`, or `pavane run services.shipping:app`."""

from contracts.order_fulfilment import order_fulfilment
from pavane import App
from services.shipping.workers import shipping

__all__ = ["app", "shipping"]

app = App(services=[shipping], workflows=[order_fulfilment])
