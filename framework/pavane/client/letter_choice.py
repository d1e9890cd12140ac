"""Choosing letters from the index: the frozen set that a pass works on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pavane.client.letter_actions import Outcomes
from pavane.client.letter_filter import LetterFilter, Wanted
from pavane.client.means import Means
from pavane.errors import UsageError
from pavane.ports.store import FoundLetter, Place

MANY = 500
"""Letters read at a time. Every shard is asked for so many, so that few rounds are cheaper than small ones."""

NOT_FOUND = "there is no such letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Letters to deal with, oldest first.

    Attributes:
        matched: how many there would be without a limit, ids that are in no index included.
        all_queues: also go through queues that hold none of them: a message there may be what an earlier
            pass left behind.
        outcomes: what is known of some already.
        listed: letters of the index, as far as they were looked at.
    """

    letters: dict[str, FoundLetter]
    matched: int
    all_queues: bool
    outcomes: Outcomes
    listed: frozenset[str]


async def choose(
    means: Means, ids: Sequence[str], everything: bool, limit: int | None, filter: LetterFilter
) -> Choice:
    """Choose by ids, by a filter, by both, or all there are.

    Raises:
        UsageError: none of them is given, or the limit is below 1.
    """
    wanted, outcomes = Wanted.of(filter), Outcomes()
    if not ids and not everything and wanted.anything:
        raise UsageError(
            "Which dead letters? Give ids, a filter, or everything=True (--all).",
            remedy="`pavane dlq ls` lists them.",
        )
    if limit is not None and limit < 1:
        raise UsageError(f"limit is a whole number from 1, not {limit}.")
    matching: dict[str, FoundLetter] = {}
    for id_ in dict.fromkeys(ids):
        found = await means.store.letter(id_)
        if found is None:
            outcomes.skipped[id_] = NOT_FOUND
        elif wanted.takes(found):
            matching[id_] = found
    listed = set(matching)
    if not ids:
        async for found in every_letter(means):
            listed.add(found.letter.id)
            if wanted.takes(found):
                matching[found.letter.id] = found
    return Choice(
        letters=dict(list(matching.items())[:limit]),
        matched=len(matching) + len(outcomes.skipped),
        all_queues=everything or bool(outcomes.skipped),
        outcomes=outcomes,
        listed=frozenset(listed),
    )


async def every_letter(means: Means) -> AsyncIterator[FoundLetter]:
    """All letters of the index, oldest first."""
    after: Place | None = None
    while True:
        batch = await fetch_letters(means, after, MANY)
        for _, found in batch:
            if found is not None:
                yield found
        if len(batch) < MANY:
            return
        after = batch[-1][0]


async def fetch_letters(
    means: Means, after: Place | None, limit: int
) -> Sequence[tuple[Place, FoundLetter | None]]:
    """Letters behind a place; `None` for one that went while this was read."""
    places = await means.store.letters(after=after, limit=limit)
    found = await asyncio.gather(*(means.store.letter(place.key, place.record) for place in places))
    return list(zip(places, found, strict=True))
