"""Durations as people write them, and as the rest of pavane counts them: whole milliseconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

Duration: TypeAlias = float | timedelta
"""Seconds, or a timedelta. Negative, NaN and infinite are refused."""

LONGEST_MS = 36_525 * 86_400_000
"""A hundred years: nobody means more, and less than this stays exact as a number of any language."""


def to_ms(duration: Duration) -> int:
    """`duration` in milliseconds, rounded up.

    Raises:
        ValueError: a sentence to show, if it is no number, negative, NaN, infinite or over a hundred years.
    """
    # Booleans count as integers in Python, but nobody who writes True means one second.
    if isinstance(duration, bool) or not isinstance(duration, (int, float, timedelta)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"a duration is a number of seconds or a timedelta, not {duration!r}")
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration is finite and not negative, not {duration!r}")
    # Rounding first takes off what binary fractions add: 0.1 s + 0.2 s is 300 ms, not 301.
    milliseconds = math.ceil(round(seconds * 1000, 3))
    if milliseconds > LONGEST_MS:
        raise ValueError(f"a duration is at most a hundred years, not {duration!r}")
    return milliseconds


def positive_ms(duration: Duration) -> int:
    """As `to_ms`, for durations that make no sense at zero."""
    milliseconds = to_ms(duration)
    if milliseconds == 0:
        raise ValueError("a duration of zero makes no sense here")
    return milliseconds
