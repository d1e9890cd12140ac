"""The payments service: `python -m services.payments`, or `pavane run services.payments:app`."""

from contracts.order_fulfilment import order_fulfilment
from pavane import App
from services.payments.workers import payments

__all__ = ["app", "payments"]

app = App(services=[payments], workflows=[order_fulfilment])
