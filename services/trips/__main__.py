"""`python -m services.trips`: one trip in this process, without servers. `--fail hotel`: to where no room is free."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import get_args

from rich.console import Console

from contracts.trips import TripConfirmed, TripRequested, trip_booking
from pavane import RunHandle, RunStatus, Step
from services.trips import app
from services.trips.catalogue import Offer, fill
from services.trips.database import database_url
from services.trips.desk import Kind
from services.trips.tree import tree_of

KINDS: tuple[Kind, ...] = get_args(Kind)
PRICES = {"flight": Decimal("240.00"), "hotel": Decimal("310.50"), "car": Decimal("95.00")}
EVERYTHING = "Lisbon"
NOT_IN: dict[Kind, str] = {"flight": "Andorra", "hotel": "Vatican City", "car": "Venice"}
"""Where there is no airport, no hotel, and no road."""

LATENCY = "0.05"
"""Seconds that each handler takes, so that the three are seen side by side."""

LONGEST = 30.0
LOOKED_EVERY = 0.02


def main(words: Sequence[str] | None = None) -> int:
    """The exit code: 0 if the trip ended as asked, else 1."""
    parser = argparse.ArgumentParser(prog="python -m services.trips", description=__doc__)
    parser.add_argument("--fail", choices=KINDS, help="a trip for which this cannot be booked")
    parser.add_argument("--json", action="store_true", help="the last line is the run as one JSON object")
    asked = parser.parse_args(words)
    fail: Kind | None = asked.fail
    os.environ.setdefault("LATENCY", LATENCY)
    with data_folder():
        run, steps = asyncio.run(travel(NOT_IN[fail] if fail else EVERYTHING))
    if asked.json:
        print(json.dumps(document(run, steps)), flush=True)
    else:
        Console(highlight=False).print(tree_of(run, steps))
    ending = ("compensated", f"{fail}.unavailable") if fail else ("completed", TripConfirmed.event_name)
    return 0 if (run.status, run.reason) == ending else 1


async def travel(city: str) -> tuple[RunStatus, list[Step]]:
    """Request a trip to the city; its run when it has ended and the traveller knows."""
    everywhere = (EVERYTHING, *NOT_IN.values())
    offers = [
        Offer(kind, where, opening=100, price=PRICES[kind])
        for where in everywhere
        for kind in KINDS
        if NOT_IN[kind] != where
    ]
    await fill(database_url(), offers)
    requested = TripRequested(trip_id=f"T{secrets.token_hex(3)}", traveller="traveller-17", city=city)
    async with app.running(embedded=True) as client, asyncio.timeout(LONGEST):
        run = await client.start(trip_booking, requested)
        await run.wait()
        await told(run)
        return await run.status(), await run.steps().all()


async def told(run: RunHandle[TripConfirmed]) -> None:
    """The traveller is told by a closing step, which may outlast the run."""
    while True:
        if await run.steps(worker="trips.tell_traveller", status="committed").count():
            return
        await asyncio.sleep(LOOKED_EVERY)


def document(run: RunStatus, steps: Sequence[Step]) -> dict[str, object]:
    """What `pavane runs show --json` prints of a run that has ended."""
    return {
        "run": run.model_dump(mode="json"),
        "steps": [step.model_dump(mode="json") for step in steps],
        "gates": [],
        "timers": [],
        "children": [],
    }


@contextmanager
def data_folder() -> Generator[None, None, None]:
    """Where the database is: as the environment says, else in a folder that is removed afterwards."""
    if os.environ.get("DATA") or os.environ.get("TRIPS_DATABASE_URL"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="pavane-trips-") as folder:
        os.environ["DATA"] = folder
        yield


if __name__ == "__main__":
    sys.exit(main())
