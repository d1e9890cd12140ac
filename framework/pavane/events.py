"""pavane's own events about runs, for `.on(…)`: a dead letter, a stuck undo, a stalled run, an ended run.

They are sent only if some registered worker subscribes to them. Steps on them are closing steps of
the run they speak of: never undone, without effect on its phase.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pavane.model.event import Event

__all__ = ["RunEnded", "RunStalled", "StepDeadLettered", "UndoStuck"]


class FrameworkEvent(Event):
    """What all of them carry: the run (full name) and its workflow, `None` outside workflows; and when."""

    run: str | None = None
    workflow: str | None = None
    at: datetime


class StepDeadLettered(FrameworkEvent, name="pavane.step_dead_lettered"):
    """A worker's job became a dead letter."""

    dead_letter_id: str
    worker: str
    reason: str
    error: str
    attempts: int


class UndoStuck(FrameworkEvent, name="pavane.undo_stuck"):
    """An undo is exhausted: the run stays `compensating` until somebody mends and redrives it."""

    dead_letter_id: str
    worker: str
    error: str


class RunStalled(FrameworkEvent, name="pavane.run_stalled"):
    """A run can go no further by itself; `reason` says why."""

    reason: str


class RunEnded(FrameworkEvent, name="pavane.run_ended"):
    """A run has ended; `reason` is the ending event's name, `deadline`, `cancelled` and the like."""

    status: Literal["completed", "failed", "compensated", "cancelled"]
    reason: str
