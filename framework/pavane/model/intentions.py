"""What a handler wants to happen with its commit. Collected in memory; the runtime reads it, or drops it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from pavane.errors import LimitExceeded, UndeclaredEvent, UsageError
from pavane.model.duration import Duration, to_ms
from pavane.model.event import Event
from pavane.model.names import timer_key_problem


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerIntention:
    """A timer to set. Exactly one is given: `delay_ms` from the commit, by the store's clock, or `at_ms`."""

    key: str | None
    event: Event
    delay_ms: int | None = None
    at_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class Intentions:
    """Everything one attempt collected.

    Attributes:
        declared: names of the events that the worker may emit; `None`: any.
        max_emits: events and timers together that one step may ask for.
        emitted: in order, without the handler's result.
        patch: changed data, JSON by key.
        timers: to set, in order; of one key only the last is here.
        cancelled: keys of timers to cancel, none of which is among `timers`.
    """

    declared: frozenset[str] | None = None
    max_emits: int = 100
    emitted: list[Event] = field(default_factory=list[Event])
    patch: dict[str, bytes] = field(default_factory=dict[str, bytes])
    timers: list[TimerIntention] = field(default_factory=list[TimerIntention])
    cancelled: list[str] = field(default_factory=list[str])
    _closed: bool = False

    def close(self) -> None:
        """The attempt is over: whatever is asked for from now on would be lost, so it raises `UsageError`."""
        self._closed = True

    def check_open(self) -> None:
        if self._closed:
            raise UsageError(
                "The handler has returned: nothing can be asked for any more.",
                remedy="Await everything you start before the handler returns.",
            )

    def check_event(self, event: object) -> None:
        """Refuse what the worker did not declare, and what is no event.

        Raises:
            UndeclaredEvent, UsageError: saying which.
        """
        if not isinstance(event, Event) or not event.event_name:
            raise UsageError(f"{type(event).__name__} is no event with a name.")
        if self.declared is not None and event.event_name not in self.declared:
            raise UndeclaredEvent(
                f"{event.event_name} is not declared by this worker.",
                remedy=f"Add it: .emits({type(event).__name__}, …), or to the handler's return annotation.",
            )

    def emit(self, event: Event) -> None:
        self.check_open()
        self.check_event(event)
        self._check_room()
        self.emitted.append(event)

    def set_timer(self, when: Duration | datetime, event: Event, key: str | None) -> None:
        self.check_open()
        self.check_event(event)
        _check_key(key)
        timer = _timer(when, event, key)
        if key is not None:
            self._forget(key)
        self._check_room()
        self.timers.append(timer)

    def cancel_timer(self, key: str) -> None:
        self.check_open()
        _check_key(key)
        self._forget(key)
        self.cancelled.append(key)

    def _forget(self, key: str) -> None:
        """What was asked about `key` before; the last word counts."""
        self.timers = [timer for timer in self.timers if timer.key != key]
        self.cancelled = [cancelled for cancelled in self.cancelled if cancelled != key]

    def _check_room(self) -> None:
        if len(self.emitted) + len(self.timers) >= self.max_emits:
            raise LimitExceeded(
                f"More than {self.max_emits} events from one step.",
                remedy="Raise PAVANE_MAX_EMITS, or split the step.",
            )


def _check_key(key: str | None) -> None:
    if key is not None and (wrong := timer_key_problem(key)):
        raise UsageError(wrong)


def _timer(when: Duration | datetime, event: Event, key: str | None) -> TimerIntention:
    if not isinstance(when, datetime):
        try:
            return TimerIntention(key=key, event=event, delay_ms=to_ms(when))
        except ValueError as error:
            raise UsageError(f"after: {error}.") from None
    if when.tzinfo is None:
        raise UsageError("after: a datetime has to be aware.", remedy="Use datetime.now(UTC) and the like.")
    return TimerIntention(key=key, event=event, at_ms=math.ceil(when.timestamp() * 1000))
