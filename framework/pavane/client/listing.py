"""Listings: read page by page, as far as the reader wants.

A page's cursor names the last item by its place in a total order, not by a number, so that a listing that
changes while it is read neither repeats nor skips an item that stays in it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from pavane.errors import UsageError
from pavane.model.views import Page
from pavane.ports.store import Place

T = TypeVar("T", covariant=True)

AT_ONCE = 100
"""Items asked for at a time."""

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """One item at its place; `item` is `None` if the filter does not take it."""

    place: Place
    item: T | None


Fetch: TypeAlias = Callable[[Place | None, int], Awaitable[Sequence[Found[T]]]]
"""Up to so many items behind a place, in order; fewer mean that there are no more."""


class Listing(Generic[T]):
    """Items in a fixed order. `async for`, `page`, `count` and `all` each read afresh."""

    def __init__(self, fetch: Fetch[T]) -> None:
        self._fetch = fetch

    async def __aiter__(self) -> AsyncIterator[T]:
        async for found in self._scan(None, AT_ONCE):
            if found.item is not None:
                yield found.item

    async def page(self, limit: int = 100, cursor: str | None = None) -> Page[T]:
        """Up to `limit` items (1 to 1,000) behind `cursor`, and the cursor of the next page.

        Raises:
            UsageError: `limit` is out of range, or `cursor` is none of this listing's.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise UsageError(f"A page has 1 to {LARGEST_PAGE} items, not {limit}.")
        taken: list[T] = []
        last: Place | None = None
        async for found in self._scan(read_cursor(cursor) if cursor else None, limit + 1):
            if found.item is None:
                continue
            if len(taken) == limit:
                return Page(items=taken, cursor=write_cursor(last) if last else None)
            taken.append(found.item)
            last = found.place
        return Page(items=taken)

    async def count(self) -> int:
        """How many items there are; it reads them all."""
        total = 0
        async for found in self._scan(None, AT_ONCE):
            total += found.item is not None
        return total

    async def all(self) -> list[T]:
        """Every item."""
        return [found.item async for found in self._scan(None, AT_ONCE) if found.item is not None]

    async def _scan(self, after: Place | None, at_once: int) -> AsyncIterator[Found[T]]:
        while True:
            batch = await self._fetch(after, at_once)
            for found in batch:
                yield found
            if len(batch) < at_once:
                return
            after = batch[-1].place


def page_of(items: Sequence[T], limit: int, cursor: str | None) -> Page[T]:
    """A page of what was read as a whole; its cursor is a number of items, because their order is made anew.

    Raises:
        UsageError: `cursor` is none of these.
    """
    first = read_cursor(cursor).at if cursor else 0
    last = first + limit
    return Page(
        items=list(items[first:last]),
        cursor=write_cursor(Place(at=last, key="")) if last < len(items) else None,
    )


def write_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.at} {place.key}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Place:
    """The place that a cursor names.

    Raises:
        UsageError: it is no cursor.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, key = text.partition(" ")
        return Place(at=int(at), key=key)
    except (ValueError, binascii.Error):
        raise UsageError(
            f"{cursor!a:.80} is no cursor.", remedy="Give the cursor of the page before, unchanged."
        ) from None
