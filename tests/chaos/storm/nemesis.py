"""Lets the faults strike in their time, one after another and some side by side."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from subprocess import TimeoutExpired

from tests.chaos.storm.faults import FAULTS
from tests.chaos.storm.field import Field
from tests.chaos.storm.plan import Strike
from tests.servers import ServerError

OVER_WITHIN = 500.0
"""Seconds that a fault may take, with all that it waits for: a worker may have to wait for a broker."""


class Nemesis:
    """Attributes:
    struck: how often each kind of fault was begun and ended.
    missed: faults that could not be brought about, with the reason.
    """

    def __init__(self, field: Field, longest: float) -> None:
        self._field = field
        self._longest = longest
        self.struck = Counter[str]()
        self.missed: list[str] = []

    async def run(self, strikes: Sequence[Strike]) -> None:
        """All of them; return when the last one is over."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began + strike.at - time.monotonic()))
                tasks.create_task(self._strike(strike))

    async def _strike(self, strike: Strike) -> None:
        try:
            async with asyncio.timeout(OVER_WITHIN):
                with self._field.struck_by(strike.kind):
                    await FAULTS[strike.kind](self._field, Random(strike.seed), self._longest)
        except (ServerError, TimeoutExpired) as error:  # a server that does not come up ends the storm anyway
            self.missed.append(f"{strike.kind} could not be brought about: {error}")
        else:
            self.struck[strike.kind] += 1
