"""Calls that type checkers have to accept. Also run, so that what they accept works."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from pydantic import BaseModel

from pavane import (
    App,
    BulkReport,
    Client,
    Context,
    DeadLetter,
    DeadLetterGroup,
    Event,
    HistoryEntry,
    Listing,
    NotNow,
    Page,
    Problem,
    RawEvent,
    Reject,
    Retry,
    RetryPolicy,
    RunHandle,
    RunStatus,
    Service,
    Settings,
    Step,
    StepFailure,
    UndoContext,
    Workflow,
)
from pavane.events import RunEnded, RunStalled, StepDeadLettered, UndoStuck


class Line(BaseModel):
    sku: str
    quantity: int


class OrderEvent(Event):
    order_id: str


class Placed(OrderEvent, name="typing.placed", version=2, extra="forbid"):
    lines: list[Line]
    amount: float


class Reserved(OrderEvent, name="typing.reserved"):
    reservation: str


class Unavailable(OrderEvent, name="typing.unavailable"):
    skus: list[str]


class Charged(OrderEvent, name="typing.charged"):
    payment: str


class Declined(OrderEvent, name="typing.declined"):
    reason: str


class Reminder(OrderEvent, name="typing.reminder"): ...


class Confirmed(OrderEvent, name="typing.confirmed"): ...


@Placed.upcaster(from_version=1)
def add_amount(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "amount": 0.0}


orders = Workflow(
    "typing_orders",
    "From order to confirmation",
    starts_with=Placed,
    run_id=lambda event: event.order_id,
    completes_with=[Confirmed],
    fails_with=[Unavailable, Declined],
    deadline=timedelta(days=7),
    retention=86400,
)
assert_type(orders, Workflow[Placed, Confirmed])

either_way = Workflow(
    "typing_either", starts_with=Reminder, completes_with=[Confirmed, Charged], undo="parallel"
)


@dataclass
class Stock:
    free: int

    async def reserve(self, key: str, lines: list[Line]) -> str | None:
        return key if len(lines) <= self.free else None

    async def release(self, key: str, reservation: str | None) -> None:
        self.free += 1


@asynccontextmanager
async def open_stock() -> AsyncGenerator[Stock, None]:
    yield Stock(1)


inventory = Service("typing_inventory", "Stock", lifespan=open_stock)
payments = Service("typing_payments", "Cards")
notify = Service("typing_notifications")
assert_type(inventory, Service[Stock])
assert_type(notify, Service[None])


async def release_stock(ctx: UndoContext[Stock], order: Placed, done: Reserved | None) -> None:
    if ctx.outcome == "unknown":
        ctx.log.warning("nobody knows whether it was reserved: %s", ctx.reason)
    await ctx.resources.release(ctx.idempotency_key, done.reservation if done else None)


@(
    inventory.queue_worker("reserve", "Check and reserve stock")
    .on(Placed)
    .emits(Reserved, Unavailable, Reminder)
    .lease(60, renew_every=timedelta(seconds=10))
    .timeout(30, step=timedelta(hours=1))
    .retry(max_attempts=5, initial_delay=5, max_delay=60, multiplier=2, jitter=0.1, reject_on=[ValueError])
    .dead_letters(max_length=1000, alert_at=10, discard_after=timedelta(days=90))
    .prefetch(8)
    .rate_limit(100, per=timedelta(minutes=1), burst=10, key=lambda e: str(e), name="gateway")
    .compensate_with(release_stock, retry=RetryPolicy(max_attempts=3), timeout=10, uncertain=True)
)
async def reserve(ctx: Context[Stock], order: Placed) -> Reserved | Unavailable:
    reservation = await ctx.resources.reserve(ctx.idempotency_key, order.lines)
    ctx.data.set(reservation=reservation, skus=[line.sku for line in order.lines], nested={"a": [1, None]})
    ctx.emit(Reminder(order_id=order.order_id))
    ctx.after(timedelta(days=1), Reminder(order_id=order.order_id), key="remind")
    ctx.after(datetime(2030, 1, 1, tzinfo=UTC), Reminder(order_id=order.order_id))
    ctx.cancel_timer("remind")
    await ctx.heartbeat(0.5, "half of it")
    if ctx.stopping == "shutdown" or ctx.attempt > 3:
        raise NotNow("later", after=timedelta(seconds=5))
    if reservation is None:
        return Unavailable(order_id=order.order_id, skus=[])
    return Reserved(order_id=order.order_id, reservation=reservation)


# The decorator hands back the function: callers see its own arguments and result.
handler: Callable[[Context[Stock], Placed], Coroutine[Any, Any, Reserved | Unavailable]] = reserve


def declined(event: Reserved, failure: StepFailure) -> Declined:
    return Declined(order_id=event.order_id, reason=f"{failure.reason}: {failure.error}")


async def refund(ctx: UndoContext, event: Reserved, done: Charged | None) -> None: ...


@(
    payments.queue_worker("charge")
    .retry(RetryPolicy(max_attempts=3))
    .on_exhausted(declined)
    .compensate_with(refund)
)
async def charge(ctx: Context, event: Reserved) -> Charged | Declined:
    if not event.reservation:
        raise Reject("no reservation")
    if ctx.attempt == 1:
        raise Retry("busy", after=2)
    return Charged(order_id=event.order_id, payment=str(ctx.data.get("reservation")))


@payments.queue_worker("in_a_thread").on_exhausted("compensate")
def in_a_thread(ctx: Context, event: Charged) -> Confirmed | None:
    return Confirmed(order_id=event.order_id)


def undo_in_a_thread(ctx: UndoContext, event: Charged) -> None: ...


@(
    payments.queue_worker("by_lambda")
    .emits(Confirmed, Declined)
    .compensate_with(undo_in_a_thread)
    .on_exhausted(lambda event, failure: Declined(order_id=event.order_id, reason=failure.error))
)
def by_lambda(ctx: Context, event: Charged) -> Confirmed:
    return Confirmed(order_id=event.order_id)


def undo_both(ctx: UndoContext, event: Charged, reminder: Reminder, done: Confirmed | None) -> None: ...


def declined_both(event: Charged, reminder: Reminder, failure: StepFailure) -> Declined:
    return Declined(order_id=event.order_id, reason=failure.error)


@(
    payments.queue_worker("when_both_are_there")
    .on_all(Charged, Reminder)
    .compensate_with(undo_both)
    .on_exhausted(declined_both)
)
async def when_both_are_there(ctx: Context, event: Charged, reminder: Reminder) -> Confirmed:
    return Confirmed(order_id=f"{event.payment} {reminder.order_id}")


both: Callable[[Context, Charged, Reminder], Coroutine[Any, Any, Confirmed]] = when_both_are_there


@notify.queue_worker("alert")
async def alert(ctx: Context, event: StepDeadLettered | UndoStuck | RunStalled | RunEnded) -> None:
    where: str | None = event.run
    ctx.log.error("%s at %s", where, event.at)


@inventory.queue_worker("any_resources")
async def any_resources(ctx: Context[object], event: Unavailable) -> None: ...


async def confirm(ctx: Context, event: Charged) -> Confirmed:
    return Confirmed(order_id=event.order_id)


confirm_again = notify.queue_worker("confirm").retry(max_attempts=10).handler(confirm)

policy: RetryPolicy = RetryPolicy.from_mapping({"initialDelayMs": 500, "maxAttempts": 3})
settings = Settings(
    broker_url="amqp://localhost", state_url="redis://localhost", namespace="typing", heartbeat=5
)
first: Problem | None = None
raw: Event = RawEvent(name="typing.other", version=1, payload={"a": 1})


async def outside(client: Client) -> None:
    handle = await client.start(orders, Placed(order_id="1", lines=[], amount=1.0))
    assert_type(handle, RunHandle[Confirmed])
    assert_type(await handle.result(timedelta(minutes=1)), Confirmed)
    assert_type(await client.run(orders, "1").result(5), Confirmed)
    assert_type(await client.run(workflow=orders, run_id="1").result(), Confirmed)
    assert_type(await client.run("typing_orders:1").result(), RawEvent)
    assert_type(await client.run(run="typing_orders:1").wait(0.5), RunStatus)
    either_event: Event = await client.run(either_way, "1").result()
    print(either_event)
    either: RunHandle[Event] = handle
    assert_type(await client.emit(Charged(order_id="1", payment="p"), run=either, idempotency_key="key"), str)
    async for run in client.runs(
        status=["running", "stalled"], since=datetime.now(UTC), order_by="started_at"
    ):
        assert_type(run, RunStatus)
    assert_type(await handle.steps(worker="inventory.reserve").page(10), Page[Step])
    assert_type(await handle.history().all(), list[HistoryEntry])
    async for line in handle.watch(after=5):
        assert_type(line, HistoryEntry)
    assert_type(await handle.cancel("the customer gave up", by="somebody", undo=False), RunStatus)
    assert_type(await handle.pause("the warehouse moves", by="somebody"), RunStatus)
    assert_type(await handle.resume(by="somebody"), RunStatus)
    assert_type(await handle.compensate("the bank has closed"), RunStatus)
    charged = Charged(order_id="1", payment="by transfer")
    assert_type(await handle.skip("payments.charge:1", charged, reason="paid", by="somebody"), RunStatus)
    assert_type(await handle.move_deadline(datetime.now(UTC) + timedelta(days=1), reason="late"), RunStatus)
    letters: Listing[DeadLetter] = client.dead_letters.list(worker="a.b", answered=False)
    assert_type(await letters.count(), int)
    assert_type(await client.dead_letters.redrive("id", force=True, rate=5, reason="mended"), BulkReport)
    await client.dead_letters.redrive(run="typing_orders:1", dry_run=True)
    await client.dead_letters.discard(everything=True, then="leave", by="somebody")
    assert_type(await client.dead_letters.groups(worker="shop.till", answered=False), list[DeadLetterGroup])
    assert_type(await client.dead_letters.edit("id", {"order_id": "1"}, reason="mistyped"), str)


app = App(services=[Service("typing_empty")], workflows=[orders, either_way])


async def a_program() -> None:
    async with app.running(settings, embedded=True, only=["typing_empty"]) as client:
        assert_type(client, Client)
    async with Client(settings) as client, Client() as other:
        print(client, other)
