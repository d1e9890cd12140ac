"""A worker that never gets a job: nobody sends the event that it subscribes to."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelLost(Event, name="parcel.lost"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("deliver")
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    return ParcelDelivered()


@post.queue_worker("search")  # found here
async def search(ctx: Context, lost: ParcelLost) -> None: ...


app = App(services=[post], workflows=[parcels])
