"""What the environment asks for, and the schedule of kills that follows from the seed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from services.demo.options import BadOptions, Options

NORTHWIND = Path(__file__).resolve().parents[3] / "shared" / "data" / "northwind"
"""830 orders, beside the checkout; where they are missing, or kinds are asked for, orders are generated."""

FULL = 830
DEFAULTS = {"RATE": "20", "LATENCY": "0.1", "COUNT": str(FULL)}
KILLS = 10
SHARES = {"DECLINE", "REFUSE"}
"""Variables that only generated orders can follow."""

LEFT_ALONE = 2.0
"""Seconds for which a service works undisturbed after it was ready."""

SPREAD = 3.0
"""Seconds over which the moments of the kills are spread after that."""

AIM = 3.0
"""Seconds for which every second kill waits, when its moment has come, until a handler is at work: the services
have nothing to do while the one before them is dead, and a kill that hits nobody proves little."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One round of the kill-test.

    Attributes:
        options: as the demo reads them: ORDERS, COUNT (of the orders, the first so many), SEED, RATE, LATENCY,
            DATA, JSON; DECLINE or REFUSE: generated orders, with such shares of those that fail.
        kills: SIGKILLs for each service's process.
        servers: whether RabbitMQ and Redis are killed too, once each.
    """

    options: Options
    kills: int = KILLS
    servers: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Plan:
        """The plan from variables in upper case; a seed is drawn where none is given.

        Raises:
            BadOptions: with what cannot be used.
        """
        given = {name: value for name, value in environment.items() if value}
        defaults = DEFAULTS | {"SEED": str(secrets.randbelow(1_000_000))}
        shares = SHARES & given.keys()
        if shares and "ORDERS" in given:
            raise BadOptions(f"{' and '.join(sorted(shares))}: the orders of a folder are what they are.")
        if NORTHWIND.is_dir() and not shares:
            defaults["ORDERS"] = str(NORTHWIND)
        kills = given.get("KILLS", str(KILLS))
        if not kills.isdecimal():
            raise BadOptions(f"KILLS={kills}: a whole number is needed.")
        options = Options.read(defaults | given)
        if options.rate is None:
            raise BadOptions("RATE=0: the kill-test needs a rate.")
        return cls(options=options, kills=int(kills), servers=given.get("SERVERS", "0") != "0")

    @property
    def rate(self) -> float:
        """Orders placed per second."""
        assert self.options.rate is not None
        return self.options.rate

    def delays(self, service: str) -> list[float]:
        """For each kill of a service, how many seconds after it was ready."""
        random = Random(f"{self.options.seed}/{service}")
        return [LEFT_ALONE + random.uniform(0, SPREAD) for _ in range(self.kills)]

    def outages(self, lasting: float) -> list[tuple[float, str]]:
        """When which server is killed, in seconds from the first order, while orders are placed for `lasting`."""
        if not self.servers:
            return []
        random = Random(f"{self.options.seed}/servers")
        names = random.sample(["rabbitmq", "redis"], 2)
        shares = random.uniform(0.2, 0.4), random.uniform(0.6, 0.8)
        return [(share * lasting, name) for share, name in zip(shares, names, strict=True)]
