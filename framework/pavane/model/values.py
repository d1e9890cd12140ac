"""Small values that handlers are given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ExhaustedReason = Literal["attempts", "rejected", "crash_loop", "deadline", "delivery_limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInfo:
    """The envelope of the event being handled.

    Attributes:
        id: never changes, however often the event is delivered.
        name, version: as it was sent; the version may be older than the class.
        time: when it was emitted, UTC.
        causation_id: id of the event whose handler emitted it; `None` if it came from outside.
        producer: the service that emitted it; empty if unknown.
    """

    id: str
    name: str
    version: int
    time: datetime
    causation_id: str | None = None
    producer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailure:
    """Why a job is exhausted, as an `on_exhausted` function gets it.

    Attributes:
        error, error_type: text and class name of the last failure.
        attempts: failures that were recorded.
        reason: what made the job a dead letter.
    """

    error: str
    error_type: str
    attempts: int
    reason: ExhaustedReason
