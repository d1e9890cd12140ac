"""Dropping dead letters that are older than their worker allows (`dead_letters(discard_after=…)`).

Without it letters are kept until somebody redrives or discards them, which is the default.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pavane.client.dead_letters import DeadLetters
from pavane.client.times import from_milliseconds
from pavane.errors import PavaneError
from pavane.model.definition import WorkerDefinition
from pavane.ports.clock import Clock

ROUND_EVERY = 3_600_000
"""Milliseconds between two rounds."""

log = logging.getLogger("pavane")


async def discard_aged(letters: DeadLetters, workers: Sequence[WorkerDefinition], clock: Clock) -> int:
    """Drop the letters that are too old now; a live run that waits for one is left stalled (discarded).

    Each is noted in its run's history, with `pavane` as the actor.

    Returns:
        How many were dropped.
    """
    dropped = 0
    for worker in workers:
        age = worker.dead_letters.discard_after_ms
        if age is None:
            continue
        report = await letters.discard(
            worker=worker.full_name,
            until=from_milliseconds(clock.now() - age),
            then="leave",
            reason="older than discard_after",
            by="pavane",
        )
        if report.done:
            log.warning("%s: %d dead letters were older than discard_after", worker.full_name, report.done)
        dropped += report.done
    return dropped


async def keep_discarding(letters: DeadLetters, workers: Sequence[WorkerDefinition], clock: Clock) -> None:
    """Drop aged letters every hour, until cancelled. What goes wrong is tried again in the next round."""
    if all(worker.dead_letters.discard_after_ms is None for worker in workers):
        return
    while True:
        try:
            await discard_aged(letters, workers, clock)
        except asyncio.CancelledError:
            raise
        except PavaneError as error:
            log.warning("dead letters are not looked through for aged ones: %s", error)
        await clock.sleep(ROUND_EVERY)
