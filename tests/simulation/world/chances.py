"""Named places where a server or the wire may sin, after FoundationDB's BUGGIFY.

A quarter of the places is active in a seed, and fires at a quarter of its occasions: so most seeds know only some
sins, and those often enough to meet each other.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

from pavane.runtime.crash_points import POINTS

ACTIVE: Final = 0.25
FIRES: Final = 0.25
KILLS: Final = 0.03
"""The same of a crash point, each of which every job passes."""

PLACES: Final = (
    "store.request_lost",
    "store.request_late",
    "store.reply_lost",
    "store.reply_late",
    "store.marks_torn",
    "publish.lost",
    "publish.late",
    "publish.nacked",
    "publish.twice",
    "publish.confirm_lost",
    "publish.confirm_late",
    "delivery.late",
    "ack.lost",
    "channel.dies",
)
"""Each says in `fidelity` which test shows that the real server does it."""

CRASHES: Final = tuple(f"crash.{point}" for point in POINTS if not point.startswith(("client", "redrive")))
"""Where a machine may die by itself."""


class Chances:
    """Whether a place sins now.

    Attributes:
        on: `False`: nothing sins any more.
        fired: how often each has.
    """

    def __init__(self, chance: Random, *, without: frozenset[str] = frozenset()) -> None:
        """Args:
        without: places that are active all the same do nothing.
        """
        self.on = True
        self.fired: Counter[str] = Counter()
        self._random = chance
        active = frozenset(place for place in (*PLACES, *CRASHES) if chance.random() < ACTIVE)
        self._active = active - without

    def maybe(self, place: str, fires: float = FIRES) -> bool:
        if place in self._active and self.on and self._random.random() < fires:
            self.fired[place] += 1
            return True
        return False

    def between(self, least: float, most: float) -> float:
        return self._random.uniform(least, most)
