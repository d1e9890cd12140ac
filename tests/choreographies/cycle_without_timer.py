"""Two workers that lead back to each other at once: nobody is at home, so it is tried again, and again."""

from __future__ import annotations

from pavane import App, Context, Event, Service, Workflow


class ParcelSent(Event, name="parcel.sent"): ...


class NobodyHome(Event, name="parcel.nobody_home"): ...


class TryAgain(Event, name="parcel.try_again"): ...


class ParcelDelivered(Event, name="parcel.delivered"): ...


parcels = Workflow("parcels", starts_with=ParcelSent, completes_with=[ParcelDelivered])
post = Service("post")


@post.queue_worker("deliver")  # found here
async def deliver(ctx: Context, event: ParcelSent | TryAgain) -> ParcelDelivered | NobodyHome:
    return NobodyHome()


@(post.queue_worker("wait").emits(TryAgain))
async def wait(ctx: Context, nobody: NobodyHome) -> None:
    ctx.emit(TryAgain())  # ctx.after(3600, TryAgain()) is what was meant


app = App(services=[post], workflows=[parcels])
