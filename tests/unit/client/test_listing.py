"""Listings: pages that neither skip nor repeat."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence

import pytest

from pavane import UsageError
from pavane.client.listing import Found, Listing, read_cursor, write_cursor
from pavane.ports.store import Place


def listing_of(items: dict[Place, str | None]) -> Listing[str]:
    async def fetch(after: Place | None, limit: int) -> Sequence[Found[str]]:
        places = sorted(items, key=lambda place: (place.at, place.key))
        behind = [p for p in places if after is None or (p.at, p.key) > (after.at, after.key)]
        return [Found(place, items[place]) for place in behind[:limit]]

    return Listing(fetch)


async def test_items_that_stay_are_read_once_while_others_come_and_go() -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(50):
        staying = {Place(at=chance.randrange(20), key=f"s{n}"): f"s{n}" for n in range(chance.randrange(30))}
        passing = {Place(at=chance.randrange(20), key=f"p{n}"): f"p{n}" for n in range(10)}
        items: dict[Place, str | None] = {**staying, **passing}
        listing, seen, cursor = listing_of(items), [], None
        while True:
            page = await listing.page(limit=chance.randint(1, 7), cursor=cursor)
            seen += page.items
            cursor = page.cursor
            if cursor is None:
                break
            for place in passing:
                if chance.random() < 0.3:
                    items.pop(place, None)
                elif chance.random() < 0.3:
                    items[place] = passing[place]
        assert sorted(one for one in seen if one.startswith("s")) == sorted(staying.values())


async def test_items_that_the_filter_does_not_take_do_not_end_a_page() -> None:
    items = {Place(at=n, key=""): (str(n) if n % 50 == 0 else None) for n in range(1000)}
    listing = listing_of(items)
    page = await listing.page(limit=3)
    assert page.items == ["0", "50", "100"]
    rest = await listing.page(limit=100, cursor=page.cursor)
    assert (len(rest.items), rest.cursor) == (17, None)
    assert await listing.count() == 20
    assert len(await listing.all()) == len([one async for one in listing]) == 20


async def test_the_last_page_has_no_cursor_even_if_it_is_full() -> None:
    listing = listing_of({Place(at=n, key=""): str(n) for n in range(4)})
    first = await listing.page(limit=2)
    assert first.cursor is not None
    assert (await listing.page(limit=2, cursor=first.cursor)).cursor is None


@pytest.mark.parametrize("key", ["", "orders:1", "~a b c", "ä"])
def test_a_cursor_names_a_place(key: str) -> None:
    place = Place(at=1_767_225_600_000, key=key)
    assert read_cursor(write_cursor(place)) == place


@pytest.mark.parametrize("cursor", ["!", "abc", "YQ", "é"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError):
        read_cursor(cursor)
