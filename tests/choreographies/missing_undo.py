"""A step with an effect outside in a run that can fail afterwards: nobody gives the money back."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class StampPaid(Event, name="parcel.stamp_paid"): ...


class ParcelLost(Event, name="parcel.lost"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow(
    "parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered], fails_with=[ParcelLost]
)
post = Service("post")


async def charge(key: str) -> None:
    """Charge somebody, once for each key."""


@post.queue_worker("take_money")  # found here
async def take_money(ctx: Context, sent: ParcelSent) -> StampPaid:
    await charge(ctx.idempotency_key)
    return StampPaid()


@post.queue_worker("deliver")
async def deliver(ctx: Context, paid: StampPaid) -> ParcelDelivered | ParcelLost:
    return ParcelLost()


app = App(services=[post], workflows=[parcels])
