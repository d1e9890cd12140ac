"""The program that weighs parcels in grams."""

from __future__ import annotations

from pavane import App, Context, Event, Service


class ParcelSent(Event, name="parcel.sent"): ...


class ParcelWeighed(Event, name="parcel.weighed"):
    grams: int


counter = Service("counter")


@counter.queue_worker("weigh")
async def weigh(ctx: Context, sent: ParcelSent) -> ParcelWeighed:
    return ParcelWeighed(grams=1)


app = App(services=[counter], events=[ParcelSent])
