"""What is scarce is limited, and nobody has said how long one attempt may hold it."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("deliver").rate_limit(10)  # found here
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    return ParcelDelivered()


app = App(services=[post], workflows=[parcels])
