"""`make bench`: the chain beside plain aio-pika, how late retries are, what idle workers cost.

`ONLY=chain` (or `punctuality`, `idle`) runs one of the three; `RUNS`, `ROUNDS` and `IDLE` (seconds) set sizes.
With uvloop installed (extra `fast`) everything runs on it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import statistics
from typing import Any

from benchmarks import chain, idle, punctuality
from tests.servers import RabbitServer, RedisServer

PARTS = tuple(os.environ.get("ONLY", "chain,punctuality,idle").split(","))


def loop_factory() -> tuple[str, Any]:
    """The fastest event loop there is, for both chains."""
    try:
        import uvloop
    except ImportError:
        return "asyncio", None
    return "uvloop", uvloop.new_event_loop


def summary(rounds: list[dict[str, float]], loop: str) -> dict[str, Any]:
    """What `JSON=1` prints as its last line."""
    ratios = [one["ratio"] for one in rounds]
    return {
        "ratio": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "rounds": rounds,
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "loop": loop,
        },
    }


def main() -> None:
    """Start private servers, measure, print."""
    logging.basicConfig(level="ERROR")
    loop, factory = loop_factory()
    print(f"starting private servers; event loop: {loop}", flush=True)
    found: dict[str, Any] = {}
    with RabbitServer() as rabbit, RedisServer() as redis, asyncio.Runner(loop_factory=factory) as runner:
        if "chain" in PARTS:
            print(
                f"five-step chain, {chain.RUNS} runs a round, {chain.ROUNDS} rounds after a warm-up",
                flush=True,
            )
            found = summary(runner.run(chain.measure(rabbit.url, redis.url)), loop)
            low, high = found["spread"]
            print(f"median ratio {found['ratio']:.2f} (from {low:.2f} to {high:.2f})", flush=True)
        if "punctuality" in PARTS:
            found["latest_retry_s"] = round(runner.run(punctuality.measure(rabbit.url, redis.url)), 3)
        if "idle" in PARTS:
            found["idle"] = runner.run(idle.measure(rabbit.url, redis.url))
    if os.environ.get("JSON"):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
