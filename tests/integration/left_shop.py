"""Two versions of one service, and another service: for the tests of `topology verify` and `prune`.

From `old` to `new` the worker `weigh` goes with the event that only it emits, and `reserve` loses an event and its
undo.
"""

from __future__ import annotations

from typing import Any

from pavane import App, Context, Event, Service, UndoContext


class Placed(Event, name="left.placed"):
    order: str


class Moved(Event, name="left.moved"):
    order: str


class Weighed(Event, name="left.weighed"):
    order: str


async def unreserve(ctx: UndoContext, event: Placed | Moved, done: None) -> None:
    """Give back what was reserved."""


def old_stock() -> Service[Any]:
    stock = Service("stock")

    @(stock.queue_worker("reserve").compensate_with(unreserve))
    async def reserve(ctx: Context, event: Placed | Moved) -> None:
        """Reserve for an order, or again where it was moved."""

    @stock.queue_worker("weigh")
    async def weigh(ctx: Context, event: Moved) -> Weighed:
        """Weigh what was moved."""
        return Weighed(order=event.order)

    return stock


def new_stock() -> Service[Any]:
    stock = Service("stock")

    @stock.queue_worker("reserve")
    async def reserve(ctx: Context, event: Placed) -> None:
        """Reserve for an order."""

    return stock


def mails() -> Service[Any]:
    mail = Service("mail")

    @mail.queue_worker("send")
    async def send(ctx: Context, event: Moved) -> None:
        """Tell that something was moved."""

    return mail


old = App(services=[old_stock()])
new = App(services=[new_stock()])
mail = App(services=[mails()])
