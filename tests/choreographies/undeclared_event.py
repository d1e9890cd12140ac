"""A handler that sends an event which its worker does not declare: the job would become a dead letter."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ReceiptDue(Event, name="parcel.receipt_due"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("deliver")
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    ctx.after(60, ReceiptDue())  # found here
    return ParcelDelivered()


app = App(services=[post], workflows=[parcels])
