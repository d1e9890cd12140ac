"""A run that may never end: after `parcel.returned` nobody goes on, it ends nothing, and there is no deadline."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelReturned(Event, name="parcel.returned"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])  # found here
post = Service("post")


@post.queue_worker("deliver")
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered | ParcelReturned:
    return ParcelReturned()


@post.queue_worker("store")
async def store(ctx: Context, returned: ParcelReturned) -> None: ...


app = App(services=[post], workflows=[parcels])
