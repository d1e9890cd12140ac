"""How late retries come back on real RabbitMQ: never early is asserted by the tests, how late is measured here."""

from __future__ import annotations

import asyncio
import time

from pavane import App, Context, Event, Service, Settings

WANTED = (0.0, 1.0, 3.0, 7.0)
"""Seconds after the first attempt, for three retries of 1 s doubled without jitter."""

JOBS = 20


class Doomed(Event, name="bench.doomed"):
    number: int


punctuality = Service("punctuality")
attempts: dict[int, list[float]] = {}
done = asyncio.Event()


@punctuality.queue_worker("fail").retry(max_attempts=4, initial_delay=1, multiplier=2, jitter_mode="none")
async def fail(ctx: Context, event: Doomed) -> None:
    attempts.setdefault(event.number, []).append(time.monotonic())
    if sum(map(len, attempts.values())) == JOBS * len(WANTED):
        done.set()
    raise ConnectionError("always")


async def measure(broker_url: str, state_url: str) -> float:
    """Print each retry's lateness; return the worst, in seconds."""
    app = App(services=[punctuality])
    settings = Settings(broker_url=broker_url, state_url=state_url, namespace="bench_retries")
    async with app.running(settings) as client:
        for number in range(JOBS):
            await client.emit(Doomed(number=number))
        await asyncio.wait_for(done.wait(), 60)
    late = [
        [at - times[0] - wanted for times in attempts.values() for at in [times[place]]]
        for place, wanted in enumerate(WANTED)
    ]
    for wanted, found in zip(WANTED[1:], late[1:], strict=True):
        print(
            f"retry at {wanted:.0f} s: late by {min(found):.3f} to {max(found):.3f} s ({JOBS} jobs)",
            flush=True,
        )
    return max(max(found) for found in late)
