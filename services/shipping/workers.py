"""The shipping service's workers: goods are handed to a carrier, and recalled if the order fails afterwards."""

from __future__ import annotations

from contracts.payments import PaymentCharged
from contracts.shipping import ShipmentCreated, ShipmentRefused
from pavane import Context, Service, UndoContext
from services.shipping.dock import HEAVIEST, Dock, open_dock

shipping = Service("shipping", "What was sent, and what no carrier takes", lifespan=open_dock)


async def recall_shipment(
    ctx: UndoContext[Dock], charged: PaymentCharged, done: ShipmentCreated | None
) -> None:
    await ctx.resources.recall(ctx.idempotency_key, charged.order.order_id)


@(
    shipping.queue_worker("create_shipment", "Hand the goods to a carrier")
    .lease(60)
    .compensate_with(recall_shipment)
)
async def create_shipment(ctx: Context[Dock], charged: PaymentCharged) -> ShipmentCreated | ShipmentRefused:
    order = charged.order
    tracking = await ctx.resources.ship(ctx.idempotency_key, order)
    if tracking is None:
        return ShipmentRefused(order=order, reason=f"freight of {order.freight} is over {HEAVIEST}")
    return ShipmentCreated(order=order, tracking=tracking)
