"""What the environment asks for, and the faults that follow from the seed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, get_args

from services.demo.options import BadOptions

Kind = Literal[
    "kill_worker",
    "freeze_worker",
    "replace_worker",
    "kill_broker",
    "broker_alarm",
    "lose_confirms",
    "kill_redis",
    "pause_redis",
    "lose_replies",
    "cut_worker",
    "repeat_deliveries",
    "ruin_channel",
    "rolling_restart",
    "swizzle",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ONCE: Kind = "swizzle"
"""Strikes once in a storm, in the middle of it."""

Mode = Literal["storm", "rewind", "flush"]
MODES: tuple[Mode, Mode, Mode] = ("storm", "rewind", "flush")

PAUSE = (3.0, 8.0)
"""Seconds between two faults."""

TWO_AT_ONCE = 0.2
SHORT = 1.0
"""Minutes; a storm that is shorter has shorter faults too, so that it has room for some of them."""


@dataclass(frozen=True)
class Strike:
    """A fault at its time, in seconds from the first one; `seed` makes its chances its own."""

    at: float
    kind: Kind
    seed: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One storm.

    Attributes:
        minutes: for which faults strike.
        rate: runs started per second.
        workers: processes; every second one plays the generated choreography.
        longest: seconds that one fault may last.
    """

    seed: int
    minutes: float = 3.0
    rate: float = 6.0
    workers: int = 4
    mode: Mode = "storm"
    json: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Plan:
        """The plan from MINUTES, RATE, WORKERS, SEED, MODE and JSON; a seed is drawn where none is given.

        Raises:
            BadOptions: with what cannot be used.
        """
        given = {name: value for name, value in environment.items() if value}
        wanted = given.get("MODE", "storm")
        mode: Mode | None = next((mode for mode in MODES if mode == wanted), None)
        if mode is None:
            raise BadOptions(f"MODE={given['MODE']}: one of {', '.join(MODES)}.")
        try:
            return cls(
                seed=int(given.get("SEED", secrets.randbelow(1_000_000))),
                minutes=float(given.get("MINUTES", cls.minutes)),
                rate=float(given.get("RATE", cls.rate)),
                workers=int(given.get("WORKERS", cls.workers)),
                mode=mode,
                json=given.get("JSON", "0") != "0",
            )
        except ValueError as error:
            raise BadOptions(f"MINUTES, RATE, WORKERS and SEED are numbers: {error}.") from None

    @property
    def lasting(self) -> float:
        """Seconds."""
        return self.minutes * 60

    @property
    def longest(self) -> float:
        return 20.0 if self.minutes >= SHORT else 5.0

    @property
    def idle_after(self) -> float:
        """Seconds until a run that does not move is listed as such: what a rewind has cut off does not go on."""
        return 3600.0 if self.mode == "storm" else 20.0

    @property
    def starts(self) -> int:
        """How many runs are started."""
        return round(self.lasting * self.rate)

    def strikes(self) -> Sequence[Strike]:
        """All faults in order. No kind comes again before all others have come."""
        random = Random(f"{self.seed}/strikes")
        found: list[Strike] = []
        bag: list[Kind] = []
        at, swizzled = random.uniform(1, 3), False
        while at < self.lasting:
            if not swizzled and at > self.lasting / 2:
                swizzled = True
                found.append(Strike(at, ONCE, f"{self.seed}/{len(found)}"))
            else:
                for _ in range(2 if random.random() < TWO_AT_ONCE else 1):
                    bag = bag or random.sample([kind for kind in KINDS if kind != ONCE], len(KINDS) - 1)
                    found.append(Strike(at, bag.pop(), f"{self.seed}/{len(found)}"))
            at += random.uniform(*PAUSE)
        return found
