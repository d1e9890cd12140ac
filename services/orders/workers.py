"""The orders service's workers: an order is accepted at first, and whatever becomes of it is written down.

Rejections are closing steps: the events they are on have failed the run already. A run that fails for any
other reason (its deadline, a step that compensates when it is exhausted, an operator) only says so in
`RunEnded`; that one is the last word.
"""

from __future__ import annotations

from contracts.inventory import StockUnavailable
from contracts.notifications import CustomerTold
from contracts.order_fulfilment import order_fulfilment
from contracts.orders import Order, OrderAccepted, OrderConfirmed, OrderPlaced
from contracts.payments import PaymentDeclined
from contracts.shipping import ShipmentCreated, ShipmentRefused
from pavane import Context, Service
from pavane.events import RunEnded
from services.orders.book import OrderBook, Rejected, open_book, value_of

orders = Service("orders", "What customers ordered, and what became of it", lifespan=open_book)

REJECTED_BY = {StockUnavailable.event_name, PaymentDeclined.event_name, ShipmentRefused.event_name}


@orders.queue_worker("accept_order", "Write the order down and work out what it is worth")
async def accept_order(ctx: Context[OrderBook], placed: OrderPlaced) -> OrderAccepted:
    order = Order(
        order_id=placed.order_id,
        customer_id=placed.customer_id,
        lines=placed.lines,
        freight=placed.freight,
        value=value_of(placed.lines),
    )
    await ctx.resources.accept(order)
    return OrderAccepted(order=order)


@orders.queue_worker("confirm_order", "The goods are on their way: so is the confirmation")
async def confirm_order(ctx: Context[OrderBook], created: ShipmentCreated) -> OrderConfirmed:
    await ctx.resources.confirm(created.order.order_id, created.tracking)
    return OrderConfirmed(order=created.order, tracking=created.tracking)


@orders.queue_worker("reject_order", "Write down why the order cannot be served")
async def reject_order(
    ctx: Context[OrderBook], event: StockUnavailable | PaymentDeclined | ShipmentRefused
) -> None:
    await ctx.resources.reject(event.order.order_id, why_rejected(event))


def why_rejected(event: StockUnavailable | PaymentDeclined | ShipmentRefused) -> Rejected:
    match event:
        case StockUnavailable():
            return event.reason
        case PaymentDeclined():
            return "payment_declined"
        case ShipmentRefused():
            return "shipment_refused"


@orders.queue_worker("close_order", "See to it that no order stays placed, however its run has ended")
async def close_order(ctx: Context[OrderBook], ended: RunEnded) -> None:
    if ended.workflow != order_fulfilment.name or ended.status == "completed":
        return
    if ended.reason not in REJECTED_BY:
        await ctx.resources.abandon(ctx.run_id)


@orders.queue_worker("note_customer_told", "Whoever answers the telephone wants to know")
async def note_customer_told(ctx: Context[OrderBook], told: CustomerTold) -> None:
    await ctx.resources.note_told(told.order_id)
