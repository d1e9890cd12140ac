"""An event that nobody hears: a worker sends `parcel.weighed`, and no worker subscribes to it."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelWeighed(Event, name="parcel.weighed"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("weigh")  # found here
async def weigh(ctx: Context, sent: ParcelSent) -> ParcelWeighed:
    return ParcelWeighed()


@post.queue_worker("deliver")
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    return ParcelDelivered()


app = App(services=[post], workflows=[parcels])
