"""What is allowed: each gate says how it was passed, or by how much it was missed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import linear_regression

from tests.soak.gauges import Sample

WARM = 300.0
"""Seconds until memory is judged: caches fill, and the allocator takes what it will need."""

LEAST = 300.0
"""Seconds after that without which a slope says nothing."""

SLOPE = 1.0
"""MiB in ten minutes."""

KEYS_OFF = 0.05
LOG = 512.0
"""MiB on disk when all queues are empty."""

RATE_OFF = 0.05
FEW = 2
"""Tasks of the relay or of a mark that may be under way at the moment of the look."""


@dataclass(frozen=True)
class Gate:
    """What was found. `passed` is `None` where the soak was too short to say."""

    name: str
    told: str
    passed: bool | None


@dataclass(frozen=True)
class Drained:
    """How it looked when everything had ended and was forgotten.

    Attributes:
        wanted, started: steps per second; runs.
        left: messages in queues, runs that have not ended, dead letters: sentences.
    """

    wanted: float
    started: int
    steps: int
    loaded_for: float
    tasks_before: int
    tasks: int
    keys_before: int
    keys: int
    log: float
    left: Sequence[str]


def judge(samples: Sequence[Sample], drained: Drained) -> list[Gate]:
    """All gates."""
    return [
        rate(drained),
        *memory(samples),
        *constants(samples),
        tasks(samples, drained),
        keys(drained),
        Gate("quorum log on disk", f"{drained.log:.0f} MiB of {LOG:g}", drained.log < LOG),
        Gate("nothing left", "; ".join(drained.left) or "nothing", not drained.left),
    ]


def rate(drained: Drained) -> Gate:
    reached = drained.steps / drained.loaded_for
    told = f"{reached:.0f} steps/s of {drained.wanted:g}, {drained.steps} steps of {drained.started} runs"
    return Gate("rate", told, reached >= drained.wanted * (1 - RATE_OFF))


def memory(samples: Sequence[Sample]) -> Iterator[Gate]:
    """The slope of each process's memory, once it is warm."""
    warm = [sample for sample in samples if sample.at >= WARM]
    if len(warm) < 3 or warm[-1].at - warm[0].at < LEAST:
        first, last = samples[len(samples) // 2], samples[-1]
        told = ", ".join(
            f"{before:.1f} then {after:.1f} MiB" for before, after in zip(first.rss, last.rss, strict=True)
        )
        yield Gate("memory", f"{told}; too short to judge", None)
        return
    for number in range(len(warm[0].rss)):
        slope, _ = linear_regression([one.at for one in warm], [one.rss[number] for one in warm])
        grown = slope * 600
        told = f"{grown:+.2f} MiB in ten minutes, {warm[-1].rss[number]:.1f} MiB at last"
        yield Gate(f"memory of process {number + 1}", told, grown < SLOPE)


def constants(samples: Sequence[Sample]) -> Iterator[Gate]:
    """What is the same at every look once the load runs."""
    settled = samples[1:] or samples
    for name in ("fds", "threads", "channels", "consumers"):
        found = sorted({str(getattr(sample, name)) for sample in settled})
        yield Gate(name, ", ".join(found), len(found) == 1)


def tasks(samples: Sequence[Sample], drained: Drained) -> Gate:
    """They come and go with the load; when it is over none may be left."""
    most = max((sum(sample.tasks) for sample in samples), default=0)
    told = f"{drained.tasks_before} before, {most} at most, {drained.tasks} when all had ended"
    return Gate("tasks", told, drained.tasks <= drained.tasks_before + FEW)


def keys(drained: Drained) -> Gate:
    told = f"{drained.keys_before} before, {drained.keys} when all runs were forgotten"
    return Gate("keys", told, abs(drained.keys - drained.keys_before) <= drained.keys_before * KEYS_OFF)
