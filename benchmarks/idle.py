"""What twenty idle workers in one process cost in a minute."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from redis.asyncio import Redis

from pavane import App, Context, Event, Service, Settings

WORKERS = 20
SECONDS = float(os.environ.get("IDLE", "60"))


class Nothing(Event, name="bench.nothing"): ...


async def wait_for_work(ctx: Context, event: Nothing) -> None:
    """Never called."""


async def measure(broker_url: str, state_url: str) -> dict[str, float]:
    """Seconds of CPU of this process, and commands that Redis got a second, while nothing happens."""
    service = Service("idle")
    for number in range(WORKERS):
        service.queue_worker(f"worker{number}").handler(wait_for_work)
    app = App(services=[service])
    settings = Settings(broker_url=broker_url, state_url=state_url, namespace="bench_idle")
    redis: Any = Redis.from_url(state_url)
    async with app.running(settings):
        before, cpu = (await redis.info("stats"))["total_commands_processed"], time.process_time()
        await asyncio.sleep(SECONDS)
        cpu = time.process_time() - cpu
        commands = (await redis.info("stats"))["total_commands_processed"] - before
    await redis.aclose()
    per_second = commands / SECONDS
    print(
        f"{WORKERS} idle workers for {SECONDS:.0f} s: {cpu:.2f} s of CPU, {per_second:.1f} Redis commands/s",
        flush=True,
    )
    return {"cpu_s": round(cpu, 3), "redis_commands_per_s": round(per_second, 1)}
