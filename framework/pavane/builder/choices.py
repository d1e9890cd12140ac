"""What a builder has been told so far, and the place that a worker keeps in its service meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pavane.builder.outcomes import Action
from pavane.model.definition import UNDO_RETRY, DeadLetterLimits, WorkerDefinition
from pavane.model.event import Event
from pavane.model.limits import RateLimit
from pavane.model.policies import RetryPolicy
from pavane.model.source import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoChoice:
    """What `.compensate_with` was given; `timeout_ms` is `None` for the worker's own."""

    undo: Callable[..., Any]
    retry: RetryPolicy = UNDO_RETRY
    timeout_ms: int | None = None
    uncertain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """The settings of a worker; the defaults are those of a builder that was told nothing."""

    on: tuple[type[Event], ...] | None = None
    on_all: tuple[type[Event], ...] | None = None
    emits: tuple[type[Event], ...] | None = None
    lease_ms: int = 30_000
    renew_every_ms: int = 10_000
    timeout_ms: int = 60_000
    step_timeout_ms: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_exhausted: Action = "stall"
    undo: UndoChoice | None = None
    dead_letters: DeadLetterLimits = field(default_factory=DeadLetterLimits)
    prefetch: int | None = None
    rate_limit: RateLimit | None = None
    timeout_given: bool = False


@dataclass(slots=True, kw_only=True)
class Slot:
    """One `queue_worker(…)` call of a service. Without definition it is unfinished."""

    service: str
    name: str
    description: str
    place: Place
    definitions: list[WorkerDefinition] = field(default_factory=list[WorkerDefinition])

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"
