"""What a worker is, once its builder is finished: frozen, checked, in whole milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pavane.model.event import Event
from pavane.model.limits import RateLimit
from pavane.model.policies import RetryPolicy
from pavane.model.source import Place

UNDO_RETRY: Final = RetryPolicy(max_attempts=20, max_delay=900.0)
"""How undos are retried unless `compensate_with(retry=…)` says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhaustion:
    """What happens to the run when a job is exhausted.

    Attributes:
        action: `stall`, `compensate`, or `answer`: `function` makes an event.
        function: `(event, failure) -> Event`, of a join with each of its events, pure; only with `answer`.
        events: the classes that `function` may return.
    """

    action: Literal["stall", "compensate", "answer"] = "stall"
    function: Callable[..., Event] | None = None
    events: tuple[type[Event], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """How a step is undone.

    Attributes:
        undo: `(ctx, event)` or, if `takes_done`, `(ctx, event, done)`; of a join with each of its events.
        admits: names of the results that `done`'s annotation takes, `""` standing for `None`;
            `None`: any result, because `done` is left out or not annotated.
        uncertain: whether a step is undone too that began and never answered.
        timeout_ms: of one attempt of the undo.
    """

    undo: Callable[..., Any]
    is_async: bool
    takes_done: bool
    admits: tuple[str, ...] | None
    uncertain: bool = True
    retry: RetryPolicy = UNDO_RETRY
    timeout_ms: int = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterLimits:
    """When dead letters make themselves heard.

    Attributes:
        max_length: reached: consumption pauses with a named reason; `None`: never.
        alert_at: from how many on `doctor` and a metric warn.
        discard_after_ms: age at which a letter is dropped, audited; `None`: never.
    """

    max_length: int | None = None
    alert_at: int = 1
    discard_after_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerDefinition:
    """One worker: one queue, one handler.

    Attributes:
        events: what it subscribes to, at least one class.
        joins: it runs once in a run, when one of each of `events` is there; they are its arguments, in order.
        emits: what its handler may return or emit.
        results: what its handler may return, as annotated; `returns_none` if `None` is among it. An
            unannotated handler may return anything of `emits`.
        lease_ms, renew_every_ms: how long a lease holds, and how often it is renewed.
        timeout_ms, step_timeout_ms: one attempt; all attempts together (`None`: no bound).
        prefetch: jobs at once in one process; `None`: as the settings say.
        rate_limit: how often its handler may begin, in all processes together.
        timeout_given: `timeout_ms` was chosen by whoever wrote the worker.
        place: where the handler was defined.
    """

    service: str
    name: str
    description: str = ""
    events: tuple[type[Event], ...]
    joins: bool = False
    emits: tuple[type[Event], ...] = ()
    results: tuple[type[Event], ...] = ()
    returns_none: bool = False
    handler: Callable[..., Any]
    is_async: bool = True
    lease_ms: int = 30_000
    renew_every_ms: int = 10_000
    timeout_ms: int = 60_000
    step_timeout_ms: int | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_exhausted: Exhaustion = field(default_factory=Exhaustion)
    compensation: Compensation | None = None
    dead_letters: DeadLetterLimits = field(default_factory=DeadLetterLimits)
    prefetch: int | None = None
    rate_limit: RateLimit | None = None
    timeout_given: bool = False
    place: Place = field(default_factory=Place)
    full_name: str = field(init=False)
    """`service.worker`, as it is called everywhere."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "full_name", f"{self.service}.{self.name}")

    @property
    def produces(self) -> tuple[type[Event], ...]:
        """Every event that can come from it: `emits`, and what its `on_exhausted` function makes."""
        return tuple(dict.fromkeys((*self.emits, *self.on_exhausted.events)))

    def event_class(self, name: str) -> type[Event] | None:
        """The class it subscribes to under the event name `name`."""
        return next((event for event in self.events if event.event_name == name), None)
