"""What the notifications service tells. Nobody else emits these events."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pavane import Event

Notice: TypeAlias = Literal["confirmation", "backorder", "payment_failure"]


class CustomerTold(Event, name="customer.told"):
    """The customer of an order was sent a notice."""

    order_id: str
    notice: Notice
