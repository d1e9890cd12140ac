"""The desk: what is booked for trips, and cancelled. Every method may be repeated under the same key.

What has been done is written down under the idempotency key in the transaction that does it; nothing else
guards against doing it twice, so that a seat booked twice under two keys shows as seats that do not add up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Literal, TypeAlias

from sqlalchemy import Connection, insert, select, update

from contracts.trips import TripRequested
from services.trips.database import (
    Database,
    bookings,
    cancellations,
    database_url,
    notices,
    offers,
    open_database,
)

Kind: TypeAlias = Literal["flight", "hotel", "car"]


class Cancelled(Exception):
    """The booking was cancelled already: this attempt comes from a worker that was thought dead."""


@dataclass(frozen=True)
class Booking:
    """What the traveller shows at the counter, and dollars."""

    code: str
    price: Decimal


@dataclass(frozen=True)
class Desk:
    """Bookings in their database.

    Attributes:
        latency: seconds that each handler takes on top, to be found at work by whoever kills processes.
    """

    database: Database
    latency: float = 0.0

    async def book(self, key: str, kind: Kind, trip: TripRequested) -> Booking | None:
        """Book one of the kind in the trip's city; `None` if none is free.

        Raises:
            Cancelled: it was cancelled before.
        """
        work = partial(book, key=key, kind=kind, trip=trip)
        booking = await self.database.transact(work, lock=f"{kind} {trip.trip_id}")
        await self._take_time()
        return booking

    async def cancel(self, key: str, kind: Kind, trip_id: str) -> None:
        """Give back what is booked of the kind, and book none for the trip from now on."""
        work = partial(cancel, key=key, kind=kind, trip_id=trip_id)
        await self.database.transact(work, lock=f"{kind} {trip_id}")
        await self._take_time()

    async def tell(self, key: str, trip_id: str, text: str) -> None:
        """Send the traveller a message."""
        await self.database.transact(partial(tell, key=key, trip_id=trip_id, text=text), lock=trip_id)
        await self._take_time()

    async def _take_time(self) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)


def book(transaction: Connection, key: str, kind: Kind, trip: TripRequested) -> Booking | None:
    """See `Desk.book`; in one transaction."""
    done = transaction.execute(select(bookings).filter_by(idempotency_key=key)).one_or_none()
    if done is not None:
        return Booking(done.code, done.price) if done.code else None
    if transaction.scalar(select(cancellations.c.trip_id).filter_by(trip_id=trip.trip_id, kind=kind)):
        raise Cancelled(f"{kind} of {trip.trip_id}")
    price = take(transaction, kind, trip.city)
    code = "" if price is None else f"{kind.upper()}-{trip.trip_id}"
    row = {
        "idempotency_key": key,
        "trip_id": trip.trip_id,
        "kind": kind,
        "city": trip.city,
        "code": code,
        "price": price or Decimal(0),
    }
    transaction.execute(insert(bookings).values(row))
    return None if price is None else Booking(code, price)


def cancel(transaction: Connection, key: str, kind: Kind, trip_id: str) -> None:
    """See `Desk.cancel`; in one transaction."""
    if transaction.scalar(select(cancellations.c.trip_id).filter_by(idempotency_key=key)):
        return
    row = {"idempotency_key": key, "trip_id": trip_id, "kind": kind}
    transaction.execute(insert(cancellations).values(row))
    booked = select(bookings.c.city).filter_by(trip_id=trip_id, kind=kind).where(bookings.c.code != "")
    for city in transaction.scalars(booked).all():
        offer = update(offers).filter_by(kind=kind, city=city)
        transaction.execute(offer.values(free=offers.c.free + 1))


def tell(transaction: Connection, key: str, trip_id: str, text: str) -> None:
    """See `Desk.tell`; in one transaction."""
    if transaction.scalar(select(notices.c.trip_id).filter_by(idempotency_key=key)) is None:
        transaction.execute(insert(notices).values(idempotency_key=key, trip_id=trip_id, text=text))


def take(transaction: Connection, kind: Kind, city: str) -> Decimal | None:
    """Take one that is free and tell its price; `None` if none is."""
    free = update(offers).filter_by(kind=kind, city=city).where(offers.c.free > 0)
    if not transaction.execute(free.values(free=offers.c.free - 1)).rowcount:
        return None
    return transaction.scalar(select(offers.c.price).filter_by(kind=kind, city=city))


@asynccontextmanager
async def open_desk() -> AsyncGenerator[Desk, None]:
    """The desk, as the environment says: `TRIPS_DATABASE_URL` or `DATA`, and `LATENCY`."""
    async with open_database(database_url()) as database:
        yield Desk(database, float(os.environ.get("LATENCY") or 0))
