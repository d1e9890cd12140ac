"""A join of what never comes together: a parcel is delivered or returned, and one worker waits for both."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelHandedOver(Event, name="parcel.handed_over"): ...


class ParcelReturned(Event, name="parcel.returned"): ...


class ParcelDone(Event, name="parcel.done"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDone])
post = Service("post")


@post.queue_worker("deliver")
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelHandedOver | ParcelReturned:
    return ParcelReturned()


@post.queue_worker("close")
async def close(ctx: Context, event: ParcelHandedOver | ParcelReturned) -> ParcelDone:
    return ParcelDone()


@post.queue_worker("compare").on_all(ParcelHandedOver, ParcelReturned)  # found here
async def compare(ctx: Context, over: ParcelHandedOver, returned: ParcelReturned) -> None: ...


app = App(services=[post], workflows=[parcels])
