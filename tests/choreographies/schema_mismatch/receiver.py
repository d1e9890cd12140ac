"""The program that wants to know a parcel's weight in kilograms."""

from __future__ import annotations

from pavane import App, Context, Event, Service


class ParcelWeighed(Event, name="parcel.weighed"):  # found here
    kilograms: float


scale = Service("scale")


@scale.queue_worker("charge")
async def charge(ctx: Context, weighed: ParcelWeighed) -> None: ...


app = App(services=[scale])
