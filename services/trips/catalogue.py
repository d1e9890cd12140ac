"""The catalogue: what there is to book before the first trip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, insert, select

from services.trips.database import offers, open_database
from services.trips.desk import Kind


@dataclass(frozen=True)
class Offer:
    """Seats, rooms or cars in a city, how many there are at first, and dollars for one."""

    kind: Kind
    city: str
    opening: int
    price: Decimal


async def fill(url: str, catalogue: Iterable[Offer]) -> None:
    """Put the offers into the trips service's database at `url`; those that it has stay as they are."""

    def add(transaction: Connection) -> None:
        for offer in catalogue:
            known = select(offers.c.free).filter_by(kind=offer.kind, city=offer.city)
            if transaction.scalar(known) is None:
                transaction.execute(insert(offers).values(vars(offer) | {"free": offer.opening}))

    async with open_database(url) as database:
        await database.transact(add, lock="catalogue")
