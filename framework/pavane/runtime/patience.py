"""Waiting for RabbitMQ and Redis to come back, without spending anybody's attempt.

While a job insists, its delivery stays unacknowledged, so the worker's prefetch fills up and consumption
pauses by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from pavane.errors import BrokerUnavailable, Overloaded, StateLost, StateUnavailable
from pavane.ports.broker import Unroutable
from pavane.ports.clock import Clock

T = TypeVar("T")

AWAY = (BrokerUnavailable, StateUnavailable, StateLost)
"""A server that is not there, or must not be used. Anything else it says concerns one call, and is raised."""

NOT_TAKEN = (Unroutable, Overloaded)

FIRST_PAUSE = 50
LONGEST_PAUSE = 2_000

log = logging.getLogger("pavane")


class Patience:
    """Repeats calls to broker and store until they are answered, with growing, random pauses.

    One outage is one warning, however many jobs wait for its end.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._away: dict[str, Exception] = {}

    async def insist(self, what: str, call: Callable[[], Awaitable[T]], *, routable: bool = False) -> T:
        """`await call()` until it is answered.

        Args:
            what: what is being waited for, for the log: `state`, `broker`, ...
            call: may be made any number of times.
            routable: also wait while no queue takes the message, or the queue is full.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await call()
            except (*AWAY, *NOT_TAKEN) as error:
                if not routable and isinstance(error, NOT_TAKEN):
                    raise
                self.noticed(what, error)
                await self._clock.sleep(int(pause * self._random.uniform(0.5, 1.5)))
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                self.answered(what)
                return answer

    def noticed(self, what: str, error: Exception) -> None:
        """Somebody was not answered: say it, once for each outage, and again if the state turns out to be lost."""
        before, self._away[what] = self._away.get(what), error
        lost = isinstance(error, StateLost)
        if before is None or (lost and not isinstance(before, StateLost)):
            level = logging.ERROR if lost else logging.WARNING  # nobody but a person ends a lost state
            remedy = getattr(error, "remedy", "")
            log.log(level, "%s: %s Work waits for it; no attempt is spent. %s", what, error, remedy)

    def answered(self, what: str) -> None:
        """Somebody was answered: an outage that was noticed is over."""
        if self._away.pop(what, None) is not None:
            log.warning("%s: answers again.", what)

    def missed(self, what: str) -> Exception | None:
        """Why a server is away, as whoever asked it last was told; `None` if it answered."""
        error = self._away.get(what)
        return error if isinstance(error, AWAY) else None
