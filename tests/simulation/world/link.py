"""The way from one machine to one server, and how long it takes: slow, clogged, or cut in one direction."""

from __future__ import annotations

from random import Random

from tests.simulation.world.loop import WorldLoop

FASTEST, SLOWEST = 0.0002, 0.004
"""Seconds for one way."""


class Server:
    """What all the links to one server share: times until which it is away.

    Attributes:
        down_until: it refuses connections.
        stuck_until: it takes what is sent and answers nothing: paused, or (for publishes) in alarm.
        mute_until: it does what it is asked and its answers are lost.
    """

    def __init__(self) -> None:
        self.down_until = 0.0
        self.stuck_until = 0.0
        self.mute_until = 0.0

    def heal(self) -> None:
        self.down_until = self.stuck_until = self.mute_until = 0.0


class Link:
    """Attributes:
    clogged_until: nothing gets through, in either direction.
    deaf_until: what is sent arrives, what is answered does not.
    """

    def __init__(self, loop: WorldLoop, chance: Random, server: Server) -> None:
        self._loop = loop
        self._random = chance.random
        self.server = server
        self.clogged_until = 0.0
        self.deaf_until = 0.0

    def heal(self) -> None:
        self.clogged_until = self.deaf_until = 0.0

    @property
    def down(self) -> bool:
        return self.server.down_until > self._loop.time()

    def latency(self) -> float:
        """Seconds that something takes which is sent now, TCP's repetitions included."""
        wait = self.clogged_until - self._loop.time()
        way = FASTEST + (SLOWEST - FASTEST) * self._random() ** 4
        return way + wait if wait > 0 else way

    def silence(self) -> float:
        """Seconds for which no answer gets through."""
        return max(self.deaf_until, self.clogged_until, self.server.mute_until) - self._loop.time()

    def stuck(self) -> float:
        """Seconds that the server lets requests wait."""
        return self.server.stuck_until - self._loop.time()
