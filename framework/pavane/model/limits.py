"""Bounds on how much a worker does, over all of its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How often a worker's handler may begin, in all processes together.

    Attributes:
        name: workers with one name share one limit.
        count, per_ms: so many in so many milliseconds, evenly.
        burst: so many may begin at once after a time of rest.
        key: of an event; jobs with different keys have limits of their own. `None`: all share one.
    """

    name: str
    count: int
    per_ms: int
    burst: int
    key: Callable[[Any], str] | None = None
