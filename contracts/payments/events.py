"""What the payments service tells. Nobody else emits these events."""

from __future__ import annotations

from contracts.orders import Money, Order
from pavane import Event


class PaymentCharged(Event, name="payment.charged"):
    """The customer has paid `amount` dollars."""

    order: Order
    payment_id: str
    amount: Money


class PaymentDeclined(Event, name="payment.declined"):
    """The customer was not charged; `reason` is meant for people."""

    order: Order
    reason: str
