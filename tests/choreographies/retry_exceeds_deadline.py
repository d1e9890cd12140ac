"""Retries that wait longer than the run may last: the last attempts are never made."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered], deadline=3600)
post = Service("post")


@(post.queue_worker("deliver").retry(max_attempts=5, initial_delay=1800, max_delay=1800))  # found here
async def deliver(ctx: Context, sent: ParcelSent) -> ParcelDelivered:
    return ParcelDelivered()


app = App(services=[post], workflows=[parcels])
