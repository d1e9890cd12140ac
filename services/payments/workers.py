"""The payments service's workers: the customer is charged, and refunded if the order fails afterwards."""

from __future__ import annotations

from contracts.inventory import StockReserved
from contracts.payments import PaymentCharged, PaymentDeclined
from pavane import Context, Service, UndoContext
from services.payments.till import LIMIT, Till, open_till

payments = Service("payments", "What customers were charged, and what they got back", lifespan=open_till)


async def refund_payment(
    ctx: UndoContext[Till], reserved: StockReserved, done: PaymentCharged | None
) -> None:
    await ctx.resources.refund(ctx.idempotency_key, reserved.order.order_id)


@payments.queue_worker("charge_payment", "Charge the customer").lease(60).compensate_with(refund_payment)
async def charge_payment(ctx: Context[Till], reserved: StockReserved) -> PaymentCharged | PaymentDeclined:
    order = reserved.order
    if await ctx.resources.charge(ctx.idempotency_key, order):
        return PaymentCharged(order=order, payment_id=ctx.idempotency_key, amount=order.value)
    return PaymentDeclined(order=order, reason=f"{order.value} is over the limit of {LIMIT}")
