"""A small shop for the harness's own tests: two services, an undo, a timer, and a ledger of what was really done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from pavane import App, Context, Event, Service, UndoContext, Workflow


class Placed(Event, name="kittest.placed"):
    order: str
    amount: int = 10


class Reserved(Event, name="kittest.reserved"):
    order: str
    amount: int


class Charged(Event, name="kittest.charged"):
    order: str


class Declined(Event, name="kittest.declined"):
    order: str


class Reminded(Event, name="kittest.reminded"):
    order: str


class Noted(Event, name="kittest.noted"):
    text: str


@dataclass
class Stock:
    """What the stock service's lifespan yields."""

    name: str = "shelf"
    closed: bool = False


@dataclass
class Shop:
    """The app, and what its handlers have done: `(what, order)`, in order."""

    app: App = field(init=False)
    done: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    opened: list[Stock] = field(default_factory=list[Stock])


orders = Workflow(
    "kit_orders",
    starts_with=Placed,
    run_id=lambda event: event.order,
    completes_with=[Charged],
    fails_with=[Declined],
)

reminders = Workflow(
    "kit_reminders", starts_with=Noted, run_id=lambda event: event.text, completes_with=[Reminded]
)


def shop() -> Shop:
    """A shop of one test. Orders over 100 are declined."""
    built = Shop()

    @asynccontextmanager
    async def open_stock() -> AsyncIterator[Stock]:
        stock = Stock()
        built.opened.append(stock)
        yield stock
        stock.closed = True

    stock = Service("stock", lifespan=open_stock)
    payment = Service("payment")

    async def give_back(ctx: UndoContext[Stock], event: Placed, done: Reserved | None) -> None:
        built.done.append(("give_back" if done else "give_back_unknown", event.order))

    @(
        stock.queue_worker("reserve")
        .lease(30)
        .retry(max_attempts=4, initial_delay=1, multiplier=2, jitter_mode="none")
        .compensate_with(give_back)
    )
    async def reserve(ctx: Context[Stock], event: Placed) -> Reserved:
        built.done.append((f"reserve on {ctx.resources.name}", event.order))
        ctx.data.set(reserved=event.order)
        return Reserved(order=event.order, amount=event.amount)

    @payment.queue_worker("charge").timeout(60).retry(max_attempts=4, initial_delay=1, jitter=0.5)
    async def charge(ctx: Context, event: Reserved) -> Charged | Declined:
        built.done.append(("charge", event.order))
        return Declined(order=event.order) if event.amount > 100 else Charged(order=event.order)

    @payment.queue_worker("thank")
    def thank(ctx: Context, event: Charged) -> None:
        built.done.append(("thank", event.order))

    @payment.queue_worker("note").emits(Reminded)
    async def note(ctx: Context, event: Noted) -> None:
        ctx.after(timedelta(days=365), Reminded(order=event.text), key="year")

    built.app = App(services=[stock, payment], workflows=[orders, reminders])
    return built
