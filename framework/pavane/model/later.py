"""What the public surface promises and this version cannot do yet, refused by name.

Everything of that kind is listed in this file. A name that does not exist yet is a
`Later`: type checkers refuse its use, and calling it raises an error that names the
capability. A class of that kind derives from `NotYet`; making one raises. A parameter
whose value asks for such a capability is refused with `not_yet`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from pavane.errors import DefinitionError, PavaneError, Problem, UsageError
from pavane.model.source import caller

T = TypeVar("T", covariant=True)

_REMEDY = "Leave it out; the changelog will name the version that brings it."


def not_yet(what: str, subject: str = "pavane") -> Problem:
    """The problem that says that `what` is not there yet."""
    place = caller()
    return Problem(
        code="bad_value",
        message=f"{what}: this version of pavane cannot do that yet.",
        subject=subject,
        file=place.file,
        line=place.line,
        remedy=_REMEDY,
    )


def in_definitions(what: str) -> PavaneError:
    """The error for a definition that asks for `what`."""
    return DefinitionError(not_yet(what))


def in_calls(what: str) -> PavaneError:
    """The error for a call that asks for `what`."""
    return UsageError(f"{what}: this version of pavane cannot do that yet.", remedy=_REMEDY)


class Later:
    """A method that is not there yet: calling it raises what `error` makes of the capability's name."""

    def __init__(self, capability: str, error: Callable[[str], PavaneError]) -> None:
        self._capability = capability
        self._error = error
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> object:
        def refuse(*_args: object, **_options: object) -> NoReturn:
            raise self._error(f"{self._name} ({self._capability})")

        return refuse


class LaterSettings:
    """The worker settings that are not there yet."""

    gathers = Later("gathers", in_definitions)
    on_child = Later("child runs", in_definitions)
    gate = Later("gates", in_definitions)
    breaker = Later("circuit breakers", in_definitions)
    concurrency = Later("concurrency limits", in_definitions)
    queue = Later("bounded queues", in_definitions)


class LaterActions:
    """What a handler cannot do yet."""

    fan_out = Later("fan-out", in_calls)
    start_run = Later("child runs", in_calls)
    set_attributes = Later("attributes", in_calls)
    callback_token = Later("callbacks", in_calls)
    breaker = Later("circuit breakers", in_calls)


class LaterClient:
    """What a client cannot do yet."""

    gates = Later("gates", in_calls)
    decide = Later("gates", in_calls)
    complete = Later("callbacks", in_calls)
    schedules = Later("schedules", in_calls)
    pause_schedule = Later("schedules", in_calls)
    resume_schedule = Later("schedules", in_calls)
    trigger_schedule = Later("schedules", in_calls)
    backfill_schedule = Later("schedules", in_calls)
    breakers = Later("circuit breakers", in_calls)
    set_breaker = Later("circuit breakers", in_calls)


class NotYet:
    """A class that is not there yet: it can be imported and named in annotations, not made."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        raise in_definitions(type(self).__name__)


class Schedule(NotYet, Generic[T]):
    """A schedule that starts runs; not there yet."""


class AtLeast(NotYet):
    """How many members of a gather suffice; not there yet."""


class Escalation(NotYet):
    """A further level of a gate; not there yet."""


class LastResult(NotYet):
    """A breaker's fallback to the last result; not there yet."""


class Decision(NotYet):
    """How a gate was decided; not there yet."""


class Gathered(NotYet, Generic[T]):
    """The members of a gather; not there yet."""


class Sensitive:
    """Marks a field to be masked and encrypted; not there yet, so a model with such a field is refused."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> NoReturn:
        # Asked by pydantic while it builds the class, for nested models too: nothing passes unmasked.
        raise in_definitions("Sensitive (masked and encrypted fields)")
