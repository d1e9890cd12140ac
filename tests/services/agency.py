"""What the tests of the trips share: an agency with its offers on the harness, and a look into its books."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from sqlalchemy import Connection, Row, Table, select

from contracts.trips import TripConfirmed, TripRequested, trip_booking
from pavane import RunHandle, RunStatus
from pavane.testing import Harness
from services.trips import app
from services.trips.catalogue import Offer, fill
from services.trips.database import bookings, cancellations, database_url, notices, offers, open_database
from services.trips.desk import Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
ENDINGS: Mapping[str, str] = {
    "Lisbon": "trip.confirmed",
    "no flight": "flight.unavailable",
    "no hotel": "hotel.unavailable",
    "no car": "car.unavailable",
}
"""A city for each way in which a trip ends by itself."""


def catalogue(opening: int = 10) -> list[Offer]:
    """So many of each kind in each city, but for what its name says."""
    return [
        Offer(kind, city, opening, Decimal("100.10"))
        for city in ENDINGS
        for kind in KINDS
        if city != f"no {kind}"
    ]


def trip(trip_id: str = "1", city: str = "Lisbon") -> TripRequested:
    return TripRequested(trip_id=trip_id, traveller="traveller-17", city=city)


@dataclass(frozen=True)
class Books:
    """The tables of the trips service, row by row."""

    offers: list[Row[Any]]
    bookings: list[Row[Any]]
    cancellations: list[Row[Any]]
    notices: list[Row[Any]]

    @property
    def booked(self) -> Counter[tuple[str, str]]:
        """(trip, kind), how often it was booked."""
        return Counter((row.trip_id, row.kind) for row in self.bookings if row.code)

    @property
    def cancelled(self) -> Counter[tuple[str, str]]:
        """(trip, kind), how often it was cancelled after it had been booked."""
        booked = self.booked
        rows = [(row.trip_id, row.kind) for row in self.cancellations]
        return Counter(row for row in rows if row in booked)

    @property
    def told(self) -> Counter[str]:
        """How many messages each traveller got."""
        return Counter(row.trip_id for row in self.notices)


async def read_books() -> Books:
    """All that the service has written down."""

    def read(transaction: Connection) -> Books:
        def rows(table: Table) -> list[Row[Any]]:
            return list(transaction.execute(select(table).order_by(*table.primary_key)).all())

        return Books(rows(offers), rows(bookings), rows(cancellations), rows(notices))

    async with open_database(database_url()) as database:
        return await database.transact(read)


def violations(books: Books, runs: Mapping[str, RunStatus]) -> list[str]:
    """What must be true whatever has happened; a sentence for everything that is not."""
    found = [f"{one} was booked {often} times" for one, often in books.booked.items() if often > 1]
    found += [f"{one} was cancelled {often} times" for one, often in books.cancelled.items() if often > 1]
    for run in runs.values():
        held = {kind for kind in KINDS if books.booked[run.run_id, kind] > books.cancelled[run.run_id, kind]}
        expected = set(KINDS) if run.status == "completed" else set[Kind]()
        if held != expected:
            found.append(f"trip {run.run_id} is {run.status} and holds {held or 'nothing'}")
        if run.reason in ENDINGS.values() and books.told[run.run_id] != 1:
            found.append(f"the traveller of trip {run.run_id} was told {books.told[run.run_id]} times")
    used = Counter((row.kind, row.city) for row in books.bookings if row.code)
    city_of = {row.trip_id: row.city for row in books.bookings}
    used.subtract((kind, city_of[trip_id]) for trip_id, kind in books.cancelled.elements())
    for row in books.offers:
        if row.opening - used[row.kind, row.city] != row.free or row.free < 0:
            found.append(f"{row.free} of {row.opening} {row.kind}s are free in {row.city}")
    return found


class Agency(Harness):
    """The harness over the trips service."""

    async def request(self, city: str = "Lisbon", trip_id: str = "1") -> RunHandle[TripConfirmed]:
        """Request a trip, and wait for nothing."""
        return await self.start(trip_booking, trip(trip_id, city))

    async def books(self) -> Books:
        """The service's books, which have to add up."""
        books = await read_books()
        runs = {run.run_id: run async for run in self.client.runs()}
        assert runs
        assert violations(books, runs) == []
        return books


@asynccontextmanager
async def open_agency(opening: int = 10, seed: int | None = None) -> AsyncGenerator[Agency, None]:
    """An agency with `opening` of everything; its database is where `DATA` says."""
    await fill(database_url(), catalogue(opening))
    async with Agency(app, seed=seed) as agency:
        yield agency
