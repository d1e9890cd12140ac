"""Trips: a flight, a hotel and a car for each, or none of the three.

    trip.requested   a traveller      starts the run

    flight.booked    trips            or flight.unavailable, which fails the run   \
    hotel.booked     trips            or hotel.unavailable, which fails the run     side by side
    car.booked       trips            or car.unavailable, which fails the run      /

    trip.confirmed   trips            when all three are booked; completes the run

When one of them cannot be had, those that are booked are cancelled, side by side too.
"""

from contracts.trips.booking import trip_booking
from contracts.trips.events import (
    CarBooked,
    CarUnavailable,
    FlightBooked,
    FlightUnavailable,
    HotelBooked,
    HotelUnavailable,
    TripConfirmed,
    TripRequested,
)

__all__ = [
    "CarBooked",
    "CarUnavailable",
    "FlightBooked",
    "FlightUnavailable",
    "HotelBooked",
    "HotelUnavailable",
    "TripConfirmed",
    "TripRequested",
    "trip_booking",
]
