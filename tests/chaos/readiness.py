"""Waits until a process that is kept running works, or has ended, as it may while its servers are away."""

from __future__ import annotations

from tests.crash.workers import WorkerProcess

GONE_WITHIN = 5.0


class Hangs(Exception):
    """A process neither got ready nor ended; with its log."""


async def gets_ready(process: WorkerProcess, name: str, within: float) -> bool:
    """Wait for it, at most so many seconds; `False`: it has ended.

    Raises:
        Hangs: it has done neither.
    """
    try:
        await process.says("ready", within, whole=True)
    except AssertionError as error:
        try:
            await process.ended(GONE_WITHIN)  # its log ends a moment before it does
        except AssertionError:
            raise Hangs(f"{name} is not ready within {within:g} s:\n{error}") from None
        return False
    return True
