"""The app that is fed bad input: a workflow that waits for an event from outside, and workers for loose events."""

from __future__ import annotations

from collections import Counter

from pavane import App, Context, Event, Service, UndoContext, Workflow


class Placed(Event, name="bad.placed"):
    order: str
    note: str = ""


class Reserved(Event, name="bad.reserved"):
    order: str


class Paid(Event, name="bad.paid"):
    order: str
    amount: int


class Confirmed(Event, name="bad.confirmed"):
    order: str


class Knocked(Event, name="bad.knocked", version=2, extra="forbid"):
    by: str
    times: int = 1


class Pinged(Event, name="bad.pinged"):
    number: int


class Ponged(Event, name="bad.ponged"):
    number: int


class Asked(Event, name="bad.asked"):
    how: str


class Grown(Event, name="bad.grown"):
    size: int


class NotDeclared(Event, name="bad.not_declared"):
    pass


orders = Workflow(
    "bad_orders", starts_with=Placed, run_id=lambda event: event.order, completes_with=[Confirmed]
)
door = Service("door", "Loose events")
shop = Service("shop", "Steps of a run")

undone: list[str] = []
"""Runs whose reservation was undone, in this process."""

heard: Counter[str] = Counter()
"""How often each id of a `bad.knocked` reached its handler, in this process."""


@door.queue_worker("hear")
async def hear(ctx: Context, event: Knocked) -> None:
    heard[ctx.event.id] += 1


@door.queue_worker("ping")
async def ping(ctx: Context, event: Pinged) -> Ponged:
    return Ponged(number=event.number + 1)


@door.queue_worker("pong")
async def pong(ctx: Context, event: Ponged) -> Pinged:
    return Pinged(number=event.number + 1)


@door.queue_worker("answer")
async def answer(ctx: Context, event: Asked) -> None:
    """Emits what it never declared, or returns it."""
    if event.how == "emit":
        ctx.emit(NotDeclared())
    else:
        return NotDeclared()  # type: ignore[return-value]


@door.queue_worker("enlarge")
async def enlarge(ctx: Context, event: Grown) -> Knocked:
    return Knocked(by="x" * event.size)


async def unreserve(ctx: UndoContext, event: Placed) -> None:
    undone.append(ctx.run or "")


@(shop.queue_worker("reserve").compensate_with(unreserve))
async def reserve(ctx: Context, event: Placed) -> Reserved:
    return Reserved(order=event.order)


@shop.queue_worker("confirm")
async def confirm(ctx: Context, event: Paid) -> Confirmed:
    return Confirmed(order=event.order)


app = App(services=[door, shop], workflows=[orders], events=[Paid, Knocked, Pinged, Asked, Grown])
