"""Faults that were ordered: which job fails or kills its process, and how often."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import get_args

from pavane.core.record import JobKind
from pavane.errors import UsageError
from pavane.runtime.crash_points import CrashPoint, Point


class Faults:
    """Orders, each used up by its occasions."""

    def __init__(self) -> None:
        self._errors: dict[tuple[str, JobKind], deque[Exception]] = defaultdict(deque)
        self._crashes: Counter[tuple[str, JobKind, Point]] = Counter()

    def fail(self, worker: str, kind: JobKind, error: Exception | type[Exception], times: int) -> None:
        """Let the next `times` calls raise `error`, after those that were ordered before."""
        self._errors[worker, kind].extend([instance(error)] * count(times))

    def crash(self, worker: str, kind: JobKind, point: CrashPoint, times: int) -> None:
        """Let the process die the next `times` times that a job of this kind passes the point."""
        points = get_args(CrashPoint)
        if point not in points:
            raise UsageError(f"{point!a:.80} is no crash point.", remedy=f"Points: {', '.join(points)}.")
        self._crashes[worker, kind, point] += count(times)

    def error(self, worker: str, kind: JobKind) -> Exception | None:
        """What the call that begins now has to raise, if anything."""
        waiting = self._errors[worker, kind]
        return waiting.popleft() if waiting else None

    def crashes(self, worker: str, kind: JobKind, point: Point) -> bool:
        """Whether the process dies at this point now."""
        if not self._crashes[worker, kind, point]:
            return False
        self._crashes[worker, kind, point] -= 1
        return True


def instance(error: Exception | type[Exception]) -> Exception:
    """An exception to raise.

    Raises:
        UsageError: a class that cannot be made of a text alone.
    """
    if isinstance(error, Exception):
        return error
    try:
        return error("ordered by the harness")
    except TypeError as reason:
        raise UsageError(
            f"{error.__name__} cannot be made of a text: {reason}",
            remedy=f"Give fail() a {error.__name__}(…).",
        ) from None


def count(times: int) -> int:
    """Raises:
    UsageError: not a number of occasions.
    """
    if times < 1:
        raise UsageError(f"times is at least 1, not {times}.")
    return times
