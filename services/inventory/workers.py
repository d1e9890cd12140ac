"""The inventory service's workers: stock is kept for an order, all lines or none, and given back if it fails."""

from __future__ import annotations

from contracts.inventory import StockReserved, StockUnavailable
from contracts.orders import OrderAccepted
from pavane import Context, Service, UndoContext
from services.inventory.stock import Stock, open_stock

inventory = Service("inventory", "What is in stock, and for whom it is kept", lifespan=open_stock)


async def release_stock(ctx: UndoContext[Stock], accepted: OrderAccepted, done: StockReserved | None) -> None:
    await ctx.resources.release(ctx.idempotency_key, accepted.order.order_id)


@(
    inventory.queue_worker("reserve_stock", "Check the stock and keep it for the order")
    .lease(60)
    .compensate_with(release_stock)
)
async def reserve_stock(ctx: Context[Stock], accepted: OrderAccepted) -> StockReserved | StockUnavailable:
    order = accepted.order
    missing = await ctx.resources.reserve(ctx.idempotency_key, order)
    if missing is None:
        return StockReserved(order=order, reservation_id=ctx.idempotency_key)
    return StockUnavailable(order=order, reason=missing.reason, product_ids=missing.product_ids)
