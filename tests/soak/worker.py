"""The program of every process: `python -m tests.soak.worker`. A chain of five steps, and a pulse.

Every second it appends a line to the file that PAVANE_TEST_PULSE names: how many tasks and threads there are, and how
many handlers have run.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pavane import App, Context, Event, Service, Workflow

PULSE = "PAVANE_TEST_PULSE"
EVERY = 1.0
LENGTH = 5


class Linked(Event):
    key: str
    text: str = ""


class Begun(Linked, name="soak.begun"): ...


class First(Linked, name="soak.first"): ...


class Second(Linked, name="soak.second"): ...


class Third(Linked, name="soak.third"): ...


class Fourth(Linked, name="soak.fourth"): ...


class Done(Linked, name="soak.done"): ...


class Count:
    """Handlers that have run in this process."""

    steps = 0


@asynccontextmanager
async def pulse() -> AsyncGenerator[Count, None]:
    count = Count()
    beating = asyncio.create_task(beat(Path(os.environ[PULSE]), count))
    try:
        yield count
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


async def beat(file: Path, count: Count) -> None:
    with file.open("a", buffering=1) as lines:
        while True:
            tasks = len(asyncio.all_tasks())
            told = {"tasks": tasks, "threads": threading.active_count(), "steps": count.steps}
            lines.write(json.dumps(told) + "\n")
            await asyncio.sleep(EVERY)


soak = Workflow(
    "soak", starts_with=Begun, run_id=lambda event: event.key, completes_with=[Done], deadline=600
)
chain = Service("chain", "Five steps, one after another", lifespan=pulse)


def link(name: str, takes: type[Linked], gives: type[Linked]) -> None:
    async def step(ctx: Context[Count], event: Any) -> Any:
        ctx.resources.steps += 1
        return gives(key=event.key, text=event.text)

    step.__annotations__ = {"ctx": Context[Count], "event": takes, "return": gives}
    chain.queue_worker(name).handler(step)


LINKS = (Begun, First, Second, Third, Fourth, Done)
for number, (takes, gives) in enumerate(itertools.pairwise(LINKS), 1):
    link(f"step{number}", takes, gives)

app = App(services=[chain], workflows=[soak])


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app.run()


if __name__ == "__main__":
    main()
