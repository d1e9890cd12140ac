"""`make bench`: the chain and dead letters beside plain aio-pika, how late retries are, what idle workers cost.

`ONLY=chain` (or `letters`, `punctuality`, `idle`) runs one of them; `RUNS`, `ROUNDS`, `LETTERS` and `IDLE` (seconds)
set sizes.
`LOOP=uvloop` puts both chains on uvloop, if it is installed (extra `fast`).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import platform
import statistics
from typing import Any

from benchmarks import chain, idle, letters, punctuality
from tests.servers import RabbitServer, RedisServer

PARTS = tuple(os.environ.get("ONLY", "chain,letters,punctuality,idle").split(","))


LOOP = os.environ.get("LOOP", "asyncio")


def loop_factory() -> Any:
    """The event loop that both chains run on; `None`: asyncio's own."""
    return importlib.import_module("uvloop").new_event_loop if LOOP == "uvloop" else None


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
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
            "loop": LOOP,
        },
    }


def main() -> None:
    """Start private servers, measure, print."""
    logging.basicConfig(level="ERROR")
    print(f"starting private servers; event loop: {LOOP}", flush=True)
    found: dict[str, Any] = {}
    with (
        RabbitServer() as rabbit,
        RedisServer() as redis,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        if "chain" in PARTS:
            print(
                f"five-step chain, {chain.RUNS} runs a round, {chain.ROUNDS} rounds after a warm-up",
                flush=True,
            )
            found = summary(runner.run(chain.measure(rabbit.url, redis.url)))
            low, high = found["spread"]
            print(f"median ratio {found['ratio']:.2f} (from {low:.2f} to {high:.2f})", flush=True)
        if "letters" in PARTS:
            found["letters"] = runner.run(letters.measure(rabbit.url, redis.url))
        if "punctuality" in PARTS:
            found["latest_retry_s"] = round(runner.run(punctuality.measure(rabbit.url, redis.url)), 3)
        if "idle" in PARTS:
            found["idle"] = runner.run(idle.measure(rabbit.url, redis.url))
    if os.environ.get("JSON"):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
