"""What the environment asks of the demo. Everything wrong is said at once, before anything runs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class BadOptions(Exception):
    """Variables whose values cannot be used; one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The demo's variables.

    Attributes:
        orders: a folder in the Northwind format; `None`: orders are generated.
        count: how many orders are generated, with `seed`.
        decline, refuse: shares of the generated orders that are too dear, and too heavy.
        latency: seconds that a handler takes on top.
        rate: orders placed per second; `None`: as fast as it goes.
        one_at_a_time: place each order when the one before has ended.
        data: a folder for the services' databases; `None`: one that is removed afterwards.
        empty: delete the rows of databases that are not empty, instead of refusing them.
        json: print the figures as one JSON object in the last line.
        on_servers: a process per service on the servers of the environment.
    """

    orders: Path | None = None
    count: int = 100
    seed: int = 1
    decline: float = 0.1
    refuse: float = 0.1
    latency: float = 0.0
    rate: float | None = None
    one_at_a_time: bool = False
    data: Path | None = None
    empty: bool = False
    json: bool = False
    on_servers: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Options:
        """Options from variables in upper case.

        Raises:
            BadOptions: with every value that cannot be used.
        """
        reader = _Reader(environment)
        options = cls(
            orders=reader.folder("ORDERS"),
            count=reader.whole("COUNT", cls.count),
            seed=reader.whole("SEED", cls.seed),
            decline=reader.share("DECLINE", cls.decline),
            refuse=reader.share("REFUSE", cls.refuse),
            latency=reader.number("LATENCY", cls.latency) or 0.0,
            rate=reader.number("RATE", None) or None,
            one_at_a_time=reader.flag("ONE_AT_A_TIME"),
            data=Path(environment["DATA"]).absolute() if environment.get("DATA") else None,
            empty=reader.flag("EMPTY"),
            json=reader.flag("JSON"),
            on_servers=reader.servers(),
        )
        if options.decline + options.refuse > 1:
            reader.wrong.append("DECLINE and REFUSE are shares of all orders: together at most 1.")
        if reader.wrong:
            raise BadOptions("\n".join(reader.wrong))
        return options


class _Reader:
    """Reads variables, and remembers what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.wrong: list[str] = []

    def flag(self, name: str) -> bool:
        return self._environment.get(name, "") not in ("", "0")

    def whole(self, name: str, default: int) -> int:
        text = self._environment.get(name)
        if not text:
            return default
        if not text.isdecimal():
            self.wrong.append(f"{name}={text}: a whole number is needed.")
            return default
        return int(text)

    def number(self, name: str, default: float | None) -> float | None:
        text = self._environment.get(name)
        if not text:
            return default
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < math.inf:
            self.wrong.append(f"{name}={text}: a number from 0 is needed.")
            return default
        return number

    def share(self, name: str, default: float) -> float:
        share = self.number(name, default)
        if share is None or share > 1:
            self.wrong.append(f"{name}={share}: a share from 0 to 1 is needed.")
            return default
        return share

    def folder(self, name: str) -> Path | None:
        text = self._environment.get(name)
        if not text:
            return None
        if not Path(text).is_dir():
            self.wrong.append(f"{name}={text}: there is no such folder.")
        return Path(text)

    def servers(self) -> bool:
        given = [name for name in ("PAVANE_BROKER_URL", "PAVANE_STATE_URL") if self._environment.get(name)]
        if len(given) == 1:
            self.wrong.append(f"only {given[0]} is set: give both servers, or neither to run embedded.")
        return len(given) == 2
