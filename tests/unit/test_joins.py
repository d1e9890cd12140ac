"""Workers with `.on_all`: what they become, and what is refused about them."""

# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pavane import App, Context, Event, Service, StepFailure, UndoContext, Workflow
from pavane.settings import Settings
from pavane.testing import FakeContext, FakeUndoContext
from tests.definitions import define, refusal


class TripEvent(Event):
    trip: str = ""


class Asked(TripEvent, name="test_joins.asked"): ...


class Flight(TripEvent, name="test_joins.flight"): ...


class Hotel(TripEvent, name="test_joins.hotel"): ...


class Booked(TripEvent, name="test_joins.booked"): ...


class Failed(TripEvent, name="test_joins.failed"): ...


async def book(ctx: Context, flight: Flight, hotel: Hotel) -> Booked:
    return Booked(trip=f"{flight.trip}{hotel.trip}")


async def bare(ctx, a, b): ...


async def undo(ctx: UndoContext, flight: Flight, hotel: Hotel, done: Booked | None) -> None: ...


async def undo_without_done(ctx: UndoContext, flight: Flight, hotel: Hotel) -> None: ...


def refused(flight: Flight, hotel: Hotel, failure: StepFailure) -> Failed:
    return Failed(trip=flight.trip)


def both(builder: Any) -> Any:
    return builder.on_all(Flight, Hotel)


def test_a_join_takes_its_events_in_their_order() -> None:
    definition = define(book, both)
    assert (definition.events, definition.joins, definition.emits) == ((Flight, Hotel), True, (Booked,))
    assert define(bare, lambda b: b.on_all(Hotel, Flight)).events == (Hotel, Flight)
    assert not define(book_each, lambda b: b).joins


async def book_each(ctx: Context, event: Flight | Hotel) -> None: ...


async def any_of_a_trip(ctx: Context, a: TripEvent, b: Flight | Hotel) -> None: ...


def test_a_wider_annotation_takes_its_event_too() -> None:
    assert define(any_of_a_trip, both).events == (Flight, Hotel)


def test_undo_and_policy_take_the_same_events() -> None:
    definition = define(book, lambda b: both(b).compensate_with(undo).on_exhausted(refused))
    assert definition.compensation is not None
    assert definition.compensation.takes_done
    assert definition.compensation.admits == ("test_joins.booked", "")
    assert definition.produces == (Booked, Failed)
    plain = define(book, lambda b: both(b).compensate_with(undo_without_done)).compensation
    assert plain is not None
    assert (plain.takes_done, plain.admits) == (False, None)


async def too_short(ctx: Context, flight: Flight) -> None: ...


async def too_long(ctx: Context, flight: Flight, hotel: Hotel, more: int) -> None: ...


async def undo_of_one(ctx: UndoContext, flight: Flight) -> None: ...


async def undo_of_one_with_done(ctx: UndoContext, flight: Flight, done: Booked | None) -> None: ...


async def undo_in_another_order(ctx: UndoContext, hotel: Hotel, flight: Flight) -> None: ...


def refused_of_one(flight: Flight, failure: StepFailure) -> Failed: ...


def refused_in_another_order(hotel: Hotel, flight: Flight, failure: StepFailure) -> Failed: ...


WRONG: list[tuple[Any, Callable[[Any], Any], list[str]]] = [
    (book, lambda b: b.on_all(Hotel, Flight), ["contradicting_event"] * 2),
    (book, lambda b: b.on_all(Flight, Asked), ["contradicting_event"]),
    (book, lambda b: both(b).on(Flight), ["contradicting_event"]),
    (bare, lambda b: b.on(Flight).on_all(Flight, Hotel), ["contradicting_event"]),
    (book, lambda b: b, ["bad_signature"]),
    (too_short, both, ["bad_signature"]),
    (too_long, both, ["bad_signature"]),
    (too_short, lambda b: b.on_all(Flight), ["bad_value"]),
    (bare, lambda b: b.on_all(Flight, Flight), ["bad_value"]),
    (bare, lambda b: b.on_all(Flight, TripEvent), ["unknown_event"]),
    (bare, lambda b: b.on_all(Flight, 5), ["bad_value"]),
    (book, lambda b: both(both(b)), ["set_twice"]),
    (book, lambda b: both(b).compensate_with(undo_of_one), ["undo_mismatch"]),
    (book, lambda b: both(b).compensate_with(undo_of_one_with_done), ["undo_mismatch"]),
    (book, lambda b: both(b).compensate_with(undo_in_another_order), ["undo_mismatch"] * 2),
    (book, lambda b: both(b).on_exhausted(refused_of_one), ["bad_signature"]),
    (book, lambda b: both(b).on_exhausted(refused_in_another_order), ["bad_signature"] * 2),
]


@pytest.mark.parametrize(("handler", "told", "codes"), WRONG)
def test_a_join_that_cannot_be_called_is_refused(
    handler: Any, told: Callable[[Any], Any], codes: list[str]
) -> None:
    assert refusal(handler, told) == codes


def trips() -> App:
    desk = Service("desk")
    both(desk.queue_worker("book")).handler(book)
    asked = Workflow("test_joins", starts_with=Asked, completes_with=[Booked], undo="parallel")
    return App(services=[desk], workflows=[asked])


def test_a_join_subscribes_to_each_of_its_events() -> None:
    app, settings = trips(), Settings()
    events = ("test_joins.flight", "test_joins.hotel")
    (worker,) = app.catalog(settings).topology().workers
    assert worker.events == events
    assert app.registrations(settings)[0].subscriptions == {"desk.book": events}


async def test_a_unit_test_calls_handler_and_undo_directly() -> None:
    assert await book(FakeContext(), Flight(trip="a"), Hotel(trip="b")) == Booked(trip="ab")
    await undo(FakeUndoContext(), Flight(), Hotel(), None)


def test_the_order_of_undos_is_part_of_the_contract() -> None:
    app = trips()
    assert app.catalog(Settings()).contract(app.workflows[0]).undo == "parallel"
