"""A small app for the tests of the command line: `python -m pavane.cli run tests.integration.cli_shop:app`.

Orders are reserved, then confirmed. Item `none` is refused; item `poison` fails while the file that
`CLI_SHOP_POISON` names exists; item `later` sets a timer. An item that begins with `!` comes back in everything that a
handler can say: it fails at the second step, or waits for a retry at the first if it begins with `!!`.
"""

from __future__ import annotations

import os
from pathlib import Path

from pavane import App, Context, Event, Reject, Retry, Service, UndoContext, Workflow


class Placed(Event, name="cli.placed"):
    order: str
    item: str = "book"


class Reserved(Event, name="cli.reserved"):
    order: str
    item: str


class Confirmed(Event, name="cli.confirmed"):
    order: str


class Refused(Event, name="cli.refused"):
    order: str


orders = Workflow(
    "orders",
    starts_with=Placed,
    run_id=lambda event: event.order,
    completes_with=[Confirmed],
    fails_with=[Refused],
)

stock = Service("stock")
mail = Service("mail")


async def unreserve(ctx: UndoContext, event: Placed, done: Reserved | None) -> None:
    """Give back what was reserved."""


@(stock.queue_worker("reserve").timeout(60).rate_limit(1000, burst=1).compensate_with(unreserve))
async def reserve(ctx: Context, event: Placed) -> Reserved:
    if event.item.startswith("!!"):
        await ctx.heartbeat(0.5, event.item)
        raise Retry(event.item, after=600)
    ctx.data.set(item=event.item)
    return Reserved(order=event.order, item=event.item)


@(mail.queue_worker("confirm").retry(max_attempts=2, initial_delay=0.25, jitter_mode="none"))
def confirm(ctx: Context, event: Reserved) -> Confirmed | Refused | None:
    if event.item == "poison" and Path(os.environ["CLI_SHOP_POISON"]).exists():
        raise Reject("poisoned \x1b[31m")
    if event.item.startswith("!"):
        raise ValueError(event.item)
    if event.item == "none":
        return Refused(order=event.order)
    if event.item == "later":
        ctx.after(3600, Confirmed(order=event.order), key="confirm")
        return None
    return Confirmed(order=event.order)


app = App(services=[stock, mail], workflows=[orders])
