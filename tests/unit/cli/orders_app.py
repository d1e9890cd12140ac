"""Orders with two branches that are joined, retries, undos, a timer and closing steps, for tests of what is drawn."""

from __future__ import annotations

from pavane import App, Context, Event, Reject, Service, UndoContext, Workflow


class Placed(Event, name="drawn.placed"):
    order: str


class Reserved(Event, name="shelf.reserved"):
    order: str


class Rated(Event, name="haulage.rated"):
    order: str


class Checked(Event, name="cheat.checked"):
    order: str


class Charged(Event, name="revenue.charged"):
    order: str


class Confirmed(Event, name="drawn.confirmed"):
    order: str


class Declined(Event, name="drawn.declined"):
    order: str


orders = Workflow(
    "orders",
    starts_with=Placed,
    run_id=lambda placed: placed.order,
    completes_with=[Confirmed],
    fails_with=[Declined],
)
stock, fraud, freight, payments, mail = map(Service, ("stock", "fraud", "freight", "payments", "mail"))


async def release(ctx: UndoContext, placed: Placed) -> None:
    if placed.order == "stuck":
        raise Reject("the warehouse burnt down")
    if placed.order == "undoing":
        raise ConnectionError("the warehouse is closed")


async def forget_rate(ctx: UndoContext, reserved: Reserved) -> None:
    """Nothing is left of it."""


@(stock.queue_worker("reserve").compensate_with(release))
async def reserve(ctx: Context, placed: Placed) -> Reserved:
    ctx.data.set(shelf=7)
    return Reserved(order=placed.order)


@(freight.queue_worker("rate").compensate_with(forget_rate))
async def rate(ctx: Context, reserved: Reserved) -> Rated:
    return Rated(order=reserved.order)


@(fraud.queue_worker("check").retry(max_attempts=3, initial_delay=30, jitter_mode="none"))
async def check(ctx: Context, placed: Placed) -> Checked:
    if placed.order in ("retried", "joining") and ctx.attempt < 3:
        raise ConnectionError("the bureau\nis [bold]closed[/bold]")
    return Checked(order=placed.order)


@payments.queue_worker("charge").on_all(Rated, Checked)
async def charge(ctx: Context, rated: Rated, checked: Checked) -> Charged | Declined:
    if rated.order in ("declined", "stuck", "undoing"):
        return Declined(order=rated.order)
    if rated.order == "dead":
        raise Reject("the bank does not know us, and " + "says so at length " * 5)
    return Charged(order=rated.order)


@(mail.queue_worker("confirm").emits(Confirmed))
async def confirm(ctx: Context, charged: Charged) -> Confirmed | None:
    if charged.order == "timer":
        ctx.after(3600, Confirmed(order=charged.order), key="confirm")
        return None
    return Confirmed(order=charged.order)


@mail.queue_worker("tell")
async def tell(ctx: Context, ended: Confirmed | Declined) -> None:
    """The customer."""


app = App(services=[stock, fraud, freight, payments, mail], workflows=[orders])
