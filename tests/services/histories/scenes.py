"""How each run comes to its end. A scene plays on the harness and returns the run that it is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias

from contracts.order_fulfilment import order_fulfilment
from contracts.shipping import ShipmentCreated
from contracts.trips import trip_booking
from pavane import RunHandle
from pavane.testing import Harness
from tests.services.agency import trip
from tests.services.shop import ENDINGS, accepted

Run: TypeAlias = RunHandle[Any]
Scene: TypeAlias = Callable[[Harness], Awaitable[Run]]

OPERATOR, COLLEAGUE = "operator-1", "operator-2"


async def confirmed(harness: Harness) -> Run:
    """An order that is served."""
    return await ended(harness, await placed(harness, "confirmed"))


async def discontinued(harness: Harness) -> Run:
    """An order for something that is no longer sold: there is nothing to undo."""
    return await ended(harness, await placed(harness, "discontinued"))


async def payment_declined(harness: Harness) -> Run:
    """The customer cannot pay: the stock goes back."""
    return await ended(harness, await placed(harness, "payment_declined"))


async def shipment_refused(harness: Harness) -> Run:
    """No carrier takes it, and the bank needs two attempts for the refund."""
    harness.fail("payments.charge_payment", ConnectionError("the bank does not answer"), undo=True)
    return await ended(harness, await placed(harness, "shipment_refused"))


async def trip_confirmed(harness: Harness) -> Run:
    """A trip of which the flight is booked last, by a process that took over from one that died."""
    harness.crash("trips.book_flight", after="begin")
    return await ended(harness, await harness.start(trip_booking, trip("9")))


async def trip_without_hotel(harness: Harness) -> Run:
    """No room is free while the car is being booked: that ends late, and is cancelled with the flight."""
    harness.hold("trips.book_car")
    run = await harness.start(trip_booking, trip("9", "no hotel"))
    await harness.until_idle()
    await harness.advance(2)
    harness.release("trips.book_car")
    return await ended(harness, run)


async def cancelled(harness: Harness) -> Run:
    """Cancelled while the customer is being charged: that ends late, and is undone with the rest."""
    harness.hold("payments.charge_payment")
    run = await placed(harness, "confirmed")
    await harness.advance(3)
    await run.cancel("the customer gave up", by=OPERATOR)
    await harness.advance(2)
    harness.release("payments.charge_payment")
    return await ended(harness, run)


async def cancelled_without_undo(harness: Harness) -> Run:
    """Cancelled as it is, because somebody has cleared it up by hand."""
    give_up(harness, "shipping.create_shipment", "no carrier answers")
    run = await placed(harness, "confirmed")
    await harness.advance(600)
    await run.cancel("settled by telephone", by=COLLEAGUE, undo=False)
    return await ended(harness, run)


async def compensated_by_an_operator(harness: Harness) -> Run:
    """Stalled on a dead letter, until somebody gives it up."""
    give_up(harness, "shipping.create_shipment", "no carrier answers")
    run = await placed(harness, "confirmed")
    await harness.advance(600)
    await run.compensate("the carrier has closed", by=OPERATOR)
    return await ended(harness, run)


async def deadline_passed(harness: Harness) -> Run:
    """Stalled on a dead letter that nobody looks at for a week."""
    give_up(harness, "payments.charge_payment", "the bank does not answer")
    run = await placed(harness, "confirmed")
    await run.wait()
    return await ended(harness, run)


async def undo_stuck_and_redriven(harness: Harness) -> Run:
    """The refund fails twenty times; somebody mends the bank and redrives it."""
    error = ConnectionError("the bank does not answer")
    harness.fail("payments.charge_payment", error, times=20, undo=True)
    run = await placed(harness, "shipment_refused")
    await harness.advance(timedelta(hours=12))
    await harness.client.dead_letters.redrive(everything=True, reason="the bank is back", by=OPERATOR)
    return await ended(harness, run)


async def skipped(harness: Harness) -> Run:
    """The carrier was called by telephone: its answer goes in instead of the step's."""
    give_up(harness, "shipping.create_shipment", "no carrier answers")
    placed_order = ENDINGS["confirmed"][0]
    run = await placed(harness, "confirmed")
    await harness.advance(600)
    [step] = await run.steps(worker="shipping.create_shipment").all()
    created = ShipmentCreated(order=accepted(placed_order), tracking="BY-HAND-1")
    await run.skip(step.step_id, created, reason="sent by courier", by=COLLEAGUE)
    return await ended(harness, run)


async def paused_and_resumed(harness: Harness) -> Run:
    """Nothing begins for an hour, and then it goes on where it was."""
    harness.hold("inventory.reserve_stock")
    run = await placed(harness, "confirmed")
    await run.pause("stocktaking", by=OPERATOR)
    harness.release("inventory.reserve_stock")
    await harness.advance(3600)
    await run.resume(by=COLLEAGUE)
    return await ended(harness, run)


async def still_open(harness: Harness) -> Run:
    """Not ended at all: a step is dead, and somebody has given it more time."""
    give_up(harness, "payments.charge_payment", "the bank does not answer")
    run = await placed(harness, "confirmed")
    await harness.advance(600)
    await run.move_deadline(harness.now + timedelta(days=30), reason="the bank takes its time", by=OPERATOR)
    return run


async def placed(harness: Harness, ending: str) -> Run:
    """An order that would end so, as far as it comes by itself now."""
    run = await harness.start(order_fulfilment, ENDINGS[ending][0])
    await harness.until_idle()
    return run


async def ended(harness: Harness, run: Run) -> Run:
    """The run when it has ended, and the closing steps with it."""
    await run.wait()
    await harness.advance(60)
    return run


def give_up(harness: Harness, worker: str, error: str) -> None:
    """Every attempt of the worker fails."""
    harness.fail(worker, ConnectionError(error), times=5)


SCENES: tuple[Scene, ...] = (
    confirmed,
    discontinued,
    payment_declined,
    shipment_refused,
    trip_confirmed,
    trip_without_hotel,
    cancelled,
    cancelled_without_undo,
    compensated_by_an_operator,
    deadline_passed,
    undo_stuck_and_redriven,
    skipped,
    paused_and_resumed,
    still_open,
)
