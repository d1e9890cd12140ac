"""pavane's five-step chain beside the same chain on plain aio-pika, round by round.

Both run in one process, on one event loop, against the same private servers, in turn, so that a slow minute
of the machine slows both. What counts is the ratio of a round; its median over the rounds is the result.
"""

from __future__ import annotations

import os

from benchmarks.pavane_chain import PavaneChain
from benchmarks.plain import STEPS, PlainChain
from pavane import Settings

RUNS = int(os.environ.get("RUNS", "2000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
IN_FLIGHT = 64
PREFETCH = 32
TEXT = "x" * 150
"""Makes a payload of about 200 bytes."""


async def measure(rabbit_url: str, state_url: str) -> list[dict[str, float]]:
    """One warm-up round of each, then the counted rounds."""
    plain = PlainChain(rabbit_url, "bench.plain", prefetch=PREFETCH)
    pavane = PavaneChain(
        Settings(broker_url=rabbit_url, state_url=state_url, namespace="bench", prefetch=PREFETCH)
    )
    await plain.open()
    await pavane.open()
    rounds: list[dict[str, float]] = []
    try:
        await plain.run(RUNS // 4, IN_FLIGHT, TEXT)
        await pavane.run(RUNS, IN_FLIGHT, TEXT)
        for number in range(ROUNDS):
            plain_rate = RUNS * STEPS / await plain.run(RUNS, IN_FLIGHT, TEXT)
            pavane_rate = RUNS * STEPS / await pavane.run(RUNS, IN_FLIGHT, TEXT)
            rounds.append(
                {
                    "pavane": round(pavane_rate, 1),
                    "plain": round(plain_rate, 1),
                    "ratio": round(pavane_rate / plain_rate, 3),
                }
            )
            print(
                f"round {number + 1}: pavane {pavane_rate:7.0f} steps/s   plain {plain_rate:7.0f} steps/s"
                f"   ratio {pavane_rate / plain_rate:.2f}",
                flush=True,
            )
    finally:
        await pavane.close()
        await plain.close()
    return rounds
