"""Rate limits: when a job's turn is.

A limit hands out turns at even distances, a burst of them at once after a time of rest (the generic cell rate
algorithm of ITU-T I.371, with room for `burst` cells). A job that is too early is given a turn ahead and comes back
for it, so that of a thousand jobs each asks twice, and the first to ask is the first to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KEPT_FOR = 600_000_000
"""Microseconds that a turn is kept for a job that does not come for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A limit, and how fast it hands out turns.

    Attributes:
        limiter: which limit: its name, with a digest of the key where it has one.
        interval: microseconds between two turns.
        burst: turns that may be taken at once after a time of rest.
    """

    limiter: str
    interval: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What a limit has handed out, in microseconds since the epoch.

    Attributes:
        next_at: when the turn after all of these would be, had nobody run ahead in a burst.
        waiting: job -> when its turn is, of those that were too early.
    """

    next_at: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict[str, int])


def interval_of(count: int, per_ms: int) -> int:
    """Microseconds between two turns, rounded up: never more than `count` in `per_ms` milliseconds."""
    return -(-per_ms * 1000 // count)


def take_turn(turns: Turns, rate: Rate, job: str, now: int) -> tuple[Turns, int]:
    """Ask for a job's turn at `now` (milliseconds).

    Returns:
        The turns from now on, and how many milliseconds the job has to wait for its own; 0: it has taken it.
    """
    micros = now * 1000
    waiting = {other: at for other, at in turns.waiting.items() if at > micros - KEPT_FOR}
    next_at, at = turns.next_at, waiting.pop(job, None)
    if at is None:
        start = max(next_at, micros)
        next_at = start + rate.interval
        at = start - (rate.burst - 1) * rate.interval
    wait = max(0, -((micros - at) // 1000))
    if wait:
        waiting[job] = at
    return Turns(next_at=next_at, waiting=waiting), wait


def give_back_turn(turns: Turns, rate: Rate, now: int) -> Turns:
    """Undo one turn that was taken and not used."""
    next_at = max(turns.next_at - rate.interval, now * 1000)
    return Turns(next_at=next_at, waiting=turns.waiting)
