"""An order as the services hand it on: what was ordered, by whom, and what it is worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Money = Annotated[Decimal, Field(ge=0)]
"""Dollars. JSON carries it as a string, so that no cent is lost on the way."""


class OrderLine(BaseModel):
    """One product of an order.

    Attributes:
        unit_price: dollars for one piece, before the discount.
        discount: a fraction of 1.
    """

    model_config = ConfigDict(frozen=True)

    product_id: str
    unit_price: Money
    quantity: Annotated[int, Field(gt=0)]
    discount: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)


class Order(BaseModel):
    """An order that the orders service has accepted.

    Attributes:
        freight: dollars that its transport costs; the customer is not charged for it.
        value: dollars that the customer is charged, all lines with their discounts.
    """

    model_config = ConfigDict(frozen=True)

    order_id: str
    customer_id: str
    lines: tuple[OrderLine, ...]
    freight: Money
    value: Money
