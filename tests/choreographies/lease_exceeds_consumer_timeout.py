"""A lease that RabbitMQ does not wait for: it takes the message back after half an hour."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("deliver").lease(7200)  # found here
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    return ParcelDelivered()


app = App(services=[post], workflows=[parcels])
