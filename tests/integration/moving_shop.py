"""A service whose queues are replaced while it works: what its handlers do is noted in a ledger."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pavane import App, Context, Event, Reject, Service
from tests.crash.ledger import note


class Given(Event, name="moving.given"):
    number: int
    seconds: float = 0.0


class Refused(Event, name="moving.refused"):
    number: int


moving = Service("moving", "Takes what it is given")


@(moving.queue_worker("take").lease(3))
async def take(ctx: Context[None], event: Given) -> None:
    note(ctx, "start")
    await asyncio.sleep(event.seconds)
    note(ctx, "end")


@(moving.queue_worker("refuse").dead_letters(max_length=int(os.environ.get("PAVANE_TEST_LETTERS", "500"))))
def refuse(ctx: Context[None], event: Refused) -> None:
    """Refuse until a file says otherwise, so that there are dead letters to be redriven."""
    if not Path(f"{os.environ['PAVANE_TEST_LEDGER']}.takes").exists():
        raise Reject("not yet")
    note(ctx, "start")
    note(ctx, "end")


app = App(services=[moving])
