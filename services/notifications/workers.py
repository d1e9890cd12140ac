"""The notifications service's workers: who has to know what became of an order.

A confirmation goes to three recipients by three workers on one event, each with its own attempts and its own
dead letters: one that cannot be sent neither holds up the others nor undoes the order.
"""

from __future__ import annotations

from contracts.inventory import StockUnavailable
from contracts.notifications import CustomerTold, Notice
from contracts.orders import Order, OrderConfirmed
from contracts.payments import PaymentDeclined
from pavane import Context, Service
from services.notifications.post import PostOffice, open_post

notifications = Service("notifications", "Who was told what", lifespan=open_post)


@notifications.queue_worker("confirm_to_customer", "Tell the customer that the goods are on their way")
async def confirm_to_customer(ctx: Context[PostOffice], confirmed: OrderConfirmed) -> CustomerTold:
    text = f"Your goods are on their way. Follow them with {confirmed.tracking}."
    return await tell_customer(ctx, confirmed.order, "confirmation", text)


@notifications.queue_worker("confirm_to_warehouse", "Tell the warehouse what to pack")
async def confirm_to_warehouse(ctx: Context[PostOffice], confirmed: OrderConfirmed) -> None:
    lines = ", ".join(f"{line.quantity} of {line.product_id}" for line in confirmed.order.lines)
    order_id = confirmed.order.order_id
    await ctx.resources.send(
        ctx.idempotency_key, order_id, to="warehouse", subject=f"Pack order {order_id}", text=lines
    )


@notifications.queue_worker("confirm_to_accounting", "Tell accounting what came in")
async def confirm_to_accounting(ctx: Context[PostOffice], confirmed: OrderConfirmed) -> None:
    order_id, value = confirmed.order.order_id, confirmed.order.value
    await ctx.resources.send(
        ctx.idempotency_key, order_id, to="accounting", subject=f"Order {order_id}", text=f"{value} received"
    )


@notifications.queue_worker("notify_backorder", "Tell the customer what cannot be delivered now")
async def notify_backorder(ctx: Context[PostOffice], unavailable: StockUnavailable) -> CustomerTold:
    missing = ", ".join(unavailable.product_ids)
    text = (
        f"We no longer sell {missing}."
        if unavailable.reason == "discontinued"
        else f"We are waiting for {missing}; we will write when it is here."
    )
    return await tell_customer(ctx, unavailable.order, "backorder", text)


@notifications.queue_worker("handle_payment_failure", "Ask the customer for another way to pay")
async def handle_payment_failure(ctx: Context[PostOffice], declined: PaymentDeclined) -> CustomerTold:
    text = f"Your payment was declined: {declined.reason}. Please order again with another one."
    return await tell_customer(ctx, declined.order, "payment_failure", text)


async def tell_customer(ctx: Context[PostOffice], order: Order, notice: Notice, text: str) -> CustomerTold:
    subject = f"Your order {order.order_id}"
    await ctx.resources.send(ctx.idempotency_key, order.order_id, to="customer", subject=subject, text=text)
    return CustomerTold(order_id=order.order_id, notice=notice)
