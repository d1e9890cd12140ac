"""The trips service's workers: three bookings side by side, each with its undo, and one that waits for all three."""

from __future__ import annotations

from contracts.trips import (
    CarBooked,
    CarUnavailable,
    FlightBooked,
    FlightUnavailable,
    HotelBooked,
    HotelUnavailable,
    TripConfirmed,
    TripRequested,
)
from pavane import Context, Service, UndoContext
from services.trips.desk import Desk, open_desk

trips = Service("trips", "Flight, hotel and car of a trip, or none of them", lifespan=open_desk)


async def cancel_flight(ctx: UndoContext[Desk], trip: TripRequested, done: FlightBooked | None) -> None:
    await ctx.resources.cancel(ctx.idempotency_key, "flight", trip.trip_id)


@trips.queue_worker("book_flight", "Book a seat on the flight").lease(60).compensate_with(cancel_flight)
async def book_flight(ctx: Context[Desk], trip: TripRequested) -> FlightBooked | FlightUnavailable:
    seat = await ctx.resources.book(ctx.idempotency_key, "flight", trip)
    if seat is None:
        reason = f"no seat is free to {trip.city}"
        return FlightUnavailable(trip_id=trip.trip_id, traveller=trip.traveller, reason=reason)
    return FlightBooked(trip_id=trip.trip_id, code=seat.code, price=seat.price)


async def cancel_hotel(ctx: UndoContext[Desk], trip: TripRequested, done: HotelBooked | None) -> None:
    await ctx.resources.cancel(ctx.idempotency_key, "hotel", trip.trip_id)


@trips.queue_worker("book_hotel", "Book a room in the hotel").lease(60).compensate_with(cancel_hotel)
async def book_hotel(ctx: Context[Desk], trip: TripRequested) -> HotelBooked | HotelUnavailable:
    room = await ctx.resources.book(ctx.idempotency_key, "hotel", trip)
    if room is None:
        reason = f"no room is free in {trip.city}"
        return HotelUnavailable(trip_id=trip.trip_id, traveller=trip.traveller, reason=reason)
    return HotelBooked(trip_id=trip.trip_id, code=room.code, price=room.price)


async def cancel_car(ctx: UndoContext[Desk], trip: TripRequested, done: CarBooked | None) -> None:
    await ctx.resources.cancel(ctx.idempotency_key, "car", trip.trip_id)


@trips.queue_worker("book_car", "Book a car at the airport").lease(60).compensate_with(cancel_car)
async def book_car(ctx: Context[Desk], trip: TripRequested) -> CarBooked | CarUnavailable:
    car = await ctx.resources.book(ctx.idempotency_key, "car", trip)
    if car is None:
        reason = f"no car is free in {trip.city}"
        return CarUnavailable(trip_id=trip.trip_id, traveller=trip.traveller, reason=reason)
    return CarBooked(trip_id=trip.trip_id, code=car.code, price=car.price)


@trips.queue_worker("confirm_trip", "All are booked").on_all(FlightBooked, HotelBooked, CarBooked)
async def confirm_trip(
    ctx: Context[Desk], flight: FlightBooked, hotel: HotelBooked, car: CarBooked
) -> TripConfirmed:
    return TripConfirmed(
        trip_id=flight.trip_id,
        flight=flight.code,
        hotel=hotel.code,
        car=car.code,
        price=flight.price + hotel.price + car.price,
    )


@trips.queue_worker("tell_traveller", "Tell the traveller what became of the trip")
async def tell_traveller(
    ctx: Context[Desk], event: TripConfirmed | FlightUnavailable | HotelUnavailable | CarUnavailable
) -> None:
    await ctx.resources.tell(ctx.idempotency_key, event.trip_id, message(event))


def message(event: TripConfirmed | FlightUnavailable | HotelUnavailable | CarUnavailable) -> str:
    match event:
        case TripConfirmed():
            return (
                f"Have a good trip: {event.flight}, {event.hotel}, {event.car}, {event.price} dollars in all."
            )
        case _:
            return f"Your trip cannot be booked: {event.reason}. Nothing is charged."
