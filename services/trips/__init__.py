"""The trips service: `pavane run services.trips:app` on servers; `python -m services.trips` plays one trip here."""

from contracts.trips import trip_booking
from pavane import App
from services.trips.workers import trips

__all__ = ["app", "trips"]

app = App(services=[trips], workflows=[trip_booking])
