"""What the trips service tells. Nobody else emits these events."""

from __future__ import annotations

from decimal import Decimal

from pavane import Event


class TripRequested(Event, name="trip.requested"):
    """A traveller wants to go somewhere. It comes from outside and starts the trip's run.

    Attributes:
        trip_id: also the run's id, so that asking twice is harmless.
    """

    trip_id: str
    traveller: str
    city: str


class Booked(Event):
    """Something is booked for the trip.

    Attributes:
        code: what the traveller shows at the counter.
        price: dollars.
    """

    trip_id: str
    code: str
    price: Decimal


class FlightBooked(Booked, name="flight.booked"):
    """There is a seat on the flight."""


class HotelBooked(Booked, name="hotel.booked"):
    """There is a room in the hotel."""


class CarBooked(Booked, name="car.booked"):
    """A car waits at the airport."""


class Unavailable(Event):
    """Something cannot be had, so the trip does not take place; `reason` is meant for people."""

    trip_id: str
    traveller: str
    reason: str


class FlightUnavailable(Unavailable, name="flight.unavailable"):
    """No seat is free."""


class HotelUnavailable(Unavailable, name="hotel.unavailable"):
    """No room is free."""


class CarUnavailable(Unavailable, name="car.unavailable"):
    """No car is free."""


class TripConfirmed(Event, name="trip.confirmed"):
    """All three are booked: the trip's run is completed.

    Attributes:
        flight, hotel, car: what the traveller shows at each counter.
        price: dollars, of all three.
    """

    trip_id: str
    flight: str
    hotel: str
    car: str
    price: Decimal
