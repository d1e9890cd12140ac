"""An app that knows the events of the stage, for commands that need code."""

from __future__ import annotations

from pavane import App, Context, Service
from tests.unit.client.stage import Confirmed, Placed, orders

stock = Service("stock")


@stock.queue_worker("reserve")
async def reserve(ctx: Context, event: Placed) -> Confirmed:
    return Confirmed(order=event.order)


app = App(services=[stock], workflows=[orders])
