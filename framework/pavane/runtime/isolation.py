"""Running one suspicious job alone, so that it takes no neighbour with it when it kills the process."""

from __future__ import annotations

import asyncio
from collections import deque


class Isolation:
    """Jobs share the process, unless one must be alone: it waits for the others and holds new ones up.

    Those that want to be alone take turns, in order.
    """

    def __init__(self) -> None:
        self._sharing = 0
        self._alone = False
        self._wanting: deque[asyncio.Future[None]] = deque()
        self._held_up: list[asyncio.Future[None]] = []

    @property
    def wanted(self) -> bool:
        """Whether a job runs, or waits to run, alone."""
        return self._alone or bool(self._wanting)

    async def enter(self) -> None:
        """Join those that share the process."""
        while self.wanted:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._held_up.append(turn)
            await turn
        self._sharing += 1

    def leave(self) -> None:
        self._sharing -= 1
        self._next()

    async def enter_alone(self) -> None:
        """Wait until nothing runs, and keep it so."""
        if self._sharing == 0 and not self.wanted:
            self._alone = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wanting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._wanting:
                self._wanting.remove(turn)
            else:
                self._alone = False
            self._next()
            raise

    def leave_alone(self) -> None:
        self._alone = False
        self._next()

    def _next(self) -> None:
        """Let the next one in that wants to be alone, else everybody who was held up."""
        if self._alone or self._sharing:
            return
        while self._wanting:
            turn = self._wanting.popleft()
            if not turn.done():
                self._alone = True
                turn.set_result(None)
                return
        held_up, self._held_up = self._held_up, []
        for turn in held_up:
            if not turn.done():
                turn.set_result(None)
