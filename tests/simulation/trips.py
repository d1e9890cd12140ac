"""A trip booked in parallel branches that join: late steps, unknown outcomes, closing steps, answers to letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from pavane import App, Context, Event, Service, StepFailure, UndoContext, Workflow
from pavane.events import RunEnded, RunStalled, StepDeadLettered


class TripAsked(Event, name="simtest.trip_asked"):
    trip: str
    refused: bool = False


class FlightBooked(Event, name="simtest.flight_booked"):
    trip: str


class HotelBooked(Event, name="simtest.hotel_booked"):
    trip: str


class CarBooked(Event, name="simtest.car_booked"):
    trip: str


class TripPacked(Event, name="simtest.trip_packed"):
    trip: str


class TripBooked(Event, name="simtest.trip_booked"):
    trip: str


class TripRefused(Event, name="simtest.trip_refused"):
    trip: str
    why: str


trips = Workflow(
    "sim_trips",
    starts_with=TripAsked,
    run_id=lambda event: event.trip,
    completes_with=[TripBooked],
    fails_with=[TripRefused],
    deadline=timedelta(hours=2),
)


@dataclass
class Travel:
    """The app, and what its handlers did: `(what, trip)`."""

    app: App = field(init=False)
    done: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def travel() -> Travel:
    """A travel agency of one test."""
    built = Travel()
    bookings, desk = Service("bookings"), Service("desk")

    async def undo_flight(ctx: UndoContext, event: TripAsked, done: FlightBooked | None) -> None:
        built.done.append(("undo flight", event.trip))

    async def undo_hotel(ctx: UndoContext, event: TripAsked) -> None:
        built.done.append(("undo hotel", event.trip))

    async def undo_car(ctx: UndoContext, event: FlightBooked, done: CarBooked) -> None:
        built.done.append(("undo car", event.trip))

    async def undo_pack(ctx: UndoContext, flight: FlightBooked, hotel: HotelBooked) -> None:
        built.done.append(("undo pack", flight.trip))

    def refuse(event: TripAsked, failure: StepFailure) -> TripRefused:
        return TripRefused(trip=event.trip, why=failure.reason)

    @bookings.queue_worker("flight").retry(max_attempts=3, initial_delay=2).compensate_with(undo_flight)
    async def flight(ctx: Context, event: TripAsked) -> FlightBooked:
        built.done.append(("flight", event.trip))
        return FlightBooked(trip=event.trip)

    @(
        bookings.queue_worker("hotel")
        .retry(max_attempts=2, initial_delay=1)
        .on_exhausted(refuse)
        .compensate_with(undo_hotel)
    )
    def hotel(ctx: Context, event: TripAsked) -> HotelBooked | TripRefused:
        built.done.append(("hotel", event.trip))
        if event.refused:
            return TripRefused(trip=event.trip, why="full")
        return HotelBooked(trip=event.trip)

    @(
        bookings.queue_worker("car")
        .emits(CarBooked, TripBooked)
        .on_exhausted("compensate")
        .retry(max_attempts=2, initial_delay=1)
        .compensate_with(undo_car, uncertain=False)
    )
    async def car(ctx: Context, event: FlightBooked) -> CarBooked:
        built.done.append(("car", event.trip))
        ctx.after(600, TripBooked(trip=event.trip), key="confirm")
        return CarBooked(trip=event.trip)

    @(
        bookings.queue_worker("pack")
        .on_all(FlightBooked, HotelBooked)
        .retry(max_attempts=2, initial_delay=1)
        .compensate_with(undo_pack)
    )
    async def pack(ctx: Context, flight: FlightBooked, hotel: HotelBooked) -> TripPacked:
        assert flight.trip == hotel.trip
        built.done.append(("pack", flight.trip))
        return TripPacked(trip=flight.trip)

    @desk.queue_worker("tell")
    async def tell(ctx: Context, event: TripBooked | TripRefused) -> None:
        built.done.append(("tell", event.trip))

    @desk.queue_worker("watch")
    async def watch(ctx: Context, event: RunEnded | RunStalled | StepDeadLettered) -> None:
        built.done.append((event.event_name, event.run or ""))

    built.app = App(services=[bookings, desk], workflows=[trips])
    return built
