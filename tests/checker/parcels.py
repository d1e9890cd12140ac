"""A small app for the checker's own tests: parcels are weighed and labelled, packed when both is done, sent a minute
later, and taken back if they are refused. Its handlers write what they do to a ledger."""

from __future__ import annotations

import asyncio

from pavane import App, Context, Event, Reject, RetryPolicy, Service, UndoContext, Workflow
from tests.checker.ledger import Ledger, MemoryLedger, effect, ledger_of


class Parcel(Event):
    """`torn`: packing fails so many times; `lost`: it cannot be labelled; `heavy`: weighing takes so many seconds."""

    parcel: str
    refused: bool = False
    torn: int = 0
    lost: bool = False
    heavy: float = 0.0


class Asked(Parcel, name="parcels.asked"): ...


class Weighed(Parcel, name="parcels.weighed"): ...


class Labelled(Parcel, name="parcels.labelled"): ...


class Packed(Parcel, name="parcels.packed"): ...


class Due(Parcel, name="parcels.due"): ...


class Sent(Parcel, name="parcels.sent"): ...


class Refused(Parcel, name="parcels.refused"): ...


parcels = Workflow(
    "parcels",
    starts_with=Asked,
    run_id=lambda event: event.parcel,
    completes_with=[Sent],
    fails_with=[Refused],
    deadline=3600,
)

WRITERS = ("post.weigh", "post.label", "post.pack", "post.wait", "post.send", "post.tell")
"""Every worker: all of them write to the ledger."""


def post(ledger: MemoryLedger, *, due: float = 60.0) -> App:
    """The app, with this ledger; parcels are sent `due` seconds after they were packed."""
    service = Service("post", "Parcels", lifespan=ledger_of(ledger))
    policy = RetryPolicy(max_attempts=3, initial_delay=1, jitter_mode="none")

    async def take_back(ctx: UndoContext[Ledger], event: Asked) -> None:
        with effect(ctx, event):
            pass

    async def unpack(ctx: UndoContext[Ledger], weighed: Weighed, labelled: Labelled) -> None:
        with effect(ctx, weighed):
            pass

    @(service.queue_worker("weigh").retry(policy).compensate_with(take_back))
    async def weigh(ctx: Context[Ledger], event: Asked) -> Weighed:
        with effect(ctx, event):
            await asyncio.sleep(event.heavy)
            ctx.data.set(grams=200)
            return Weighed(parcel=event.parcel, refused=event.refused, torn=event.torn)

    @(service.queue_worker("label").retry(policy).compensate_with(take_back))
    async def label(ctx: Context[Ledger], event: Asked) -> Labelled:
        if event.lost:
            raise Reject("no such street")
        with effect(ctx, event):
            return Labelled(parcel=event.parcel, refused=event.refused)

    @(service.queue_worker("pack").on_all(Weighed, Labelled).retry(policy).compensate_with(unpack))
    async def pack(ctx: Context[Ledger], weighed: Weighed, labelled: Labelled) -> Packed:
        if ctx.attempt <= weighed.torn:
            raise OSError("the box is torn")
        with effect(ctx, weighed):
            return Packed(parcel=weighed.parcel, refused=weighed.refused)

    @(service.queue_worker("wait").emits(Due).retry(policy))
    async def wait(ctx: Context[Ledger], event: Packed) -> None:
        with effect(ctx, event):
            ctx.after(due, Due(parcel=event.parcel, refused=event.refused), key="due")

    @(service.queue_worker("send").retry(policy))
    async def send(ctx: Context[Ledger], event: Due) -> Sent | Refused:
        with effect(ctx, event):
            kind = Refused if event.refused else Sent
            return kind(parcel=event.parcel)

    @service.queue_worker("tell")
    async def tell(ctx: Context[Ledger], event: Sent | Refused) -> None:
        with effect(ctx, event):
            pass

    return App(services=[service], workflows=[parcels])
