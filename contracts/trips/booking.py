"""The contract of a trip's run, from the request to its confirmation, or to nothing booked at all."""

from __future__ import annotations

from datetime import timedelta

from contracts.trips.events import (
    CarUnavailable,
    FlightUnavailable,
    HotelUnavailable,
    TripConfirmed,
    TripRequested,
)
from pavane import Workflow

trip_booking = Workflow(
    "trip_booking",
    "Flight, hotel and car, or none of them",
    starts_with=TripRequested,
    run_id=lambda requested: requested.trip_id,
    completes_with=[TripConfirmed],
    fails_with=[FlightUnavailable, HotelUnavailable, CarUnavailable],
    deadline=timedelta(hours=1),
    undo="parallel",
)
