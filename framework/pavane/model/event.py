"""Events: facts, past tense, typed and versioned.

A class is one version of an event; older versions are lifted to it, step by step, by
upcasters. `encode` and `decode` are the only way between an event and its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, TypeVar, Unpack

from pydantic import BaseModel, ConfigDict

from pavane.errors import DefinitionError, Problem
from pavane.model.names import RESERVED, event_name_problem
from pavane.model.source import Place, caller

Upcast: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
U = TypeVar("U", bound=Upcast)

FRAMEWORK_MODULE = "pavane.events"


class Event(BaseModel):
    """Base of all events. `class OrderPlaced(Event, name="order.placed", version=2): ...`

    Frozen. Unknown fields of a payload are ignored unless the class says `extra="forbid"`; NaN and
    infinite numbers are refused. Without `name` the class is a base for others: it can be neither
    emitted nor subscribed to.

    Args (of the class statement):
        name: what the event is called on the wire, unique in the process.
        version: of the payload's shape, from 1.
        config: pydantic's own options.

    Raises:
        DefinitionError: `bad_name`, `bad_value`, or `duplicate_event` if another class has the name
            (defining the same class again, as a reload does, replaces it).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)

    event_name: ClassVar[str] = ""
    event_version: ClassVar[int] = 0
    _upcasters: ClassVar[dict[int, Upcast]] = {}

    def __init_subclass__(
        cls, *, name: str | None = None, version: int = 1, **config: Unpack[ConfigDict]
    ) -> None:
        super().__init_subclass__()
        # A class without a name must not pass for the named class it derives from.
        cls.event_name = name or ""
        cls.event_version = version if name is not None else 0
        cls._upcasters = {}

    @classmethod
    def __pydantic_init_subclass__(cls, *, name: str | None = None, version: int = 1, **config: Any) -> None:
        super().__pydantic_init_subclass__()
        place = caller()
        problems = _problems_of(cls, name, version, place)
        # pydantic has taken out its own options: what is left is a misspelling.
        problems += [_problem("bad_value", f"{option}= is no option.", cls, place) for option in config]
        if problems:
            raise DefinitionError(*problems)
        if name is not None:
            _register(cls, place)

    @classmethod
    def upcaster(cls, *, from_version: int) -> Callable[[U], U]:
        """Decorator: the function lifts a payload of `from_version` to the next version.

        It takes and returns a `dict` and is called before validation. Versions below the first
        upcaster are refused when they arrive; a gap above it is a `DefinitionError` when the App is built.

        Raises:
            DefinitionError: `bad_value` if the version is not below the class's, `set_twice` if there is one.
        """

        def register(function: U) -> U:
            place = caller()
            if not cls.event_name or not 1 <= from_version < cls.event_version:
                message = (
                    f"upcaster from version {from_version}, but the class is version {cls.event_version}."
                )
                raise DefinitionError(_problem("bad_value", message, cls, place))
            if from_version in cls._upcasters:
                message = f"a second upcaster from version {from_version}."
                raise DefinitionError(_problem("set_twice", message, cls, place))
            cls._upcasters[from_version] = function
            return function

        return register


def upcasters_of(event: type[Event]) -> dict[int, Upcast]:
    """The event's upcasters by the version they start from."""
    return event._upcasters  # pyright: ignore[reportPrivateUsage]


def gap_in_upcasters(event: type[Event]) -> int | None:
    """The first version that a chain of upcasters once begun cannot lift; `None` if there is no gap."""
    chain = upcasters_of(event)
    if not chain:
        return None
    return next((step for step in range(min(chain), event.event_version) if step not in chain), None)


_registered: dict[str, tuple[type[Event], Place]] = {}


def _register(cls: type[Event], place: Place) -> None:
    known = _registered.get(cls.event_name)
    if known is not None and not _is_same(known[0], cls, known[1], place):
        message = f"{known[0].__module__}.{known[0].__qualname__} has this name already."
        remedy = "Give one of the two classes another name; a new shape of the same event is a new version."
        raise DefinitionError(_problem("duplicate_event", message, cls, place, remedy))
    _registered[cls.event_name] = (cls, place)


def _is_same(known: type[Event], cls: type[Event], known_place: Place, place: Place) -> bool:
    # A reload, or a module that runs as __main__ and is then imported by its name: one file, one class.
    return known.__qualname__ == cls.__qualname__ and (
        known.__module__ == cls.__module__ or known_place.file == place.file is not None
    )


def _problems_of(cls: type[Event], name: str | None, version: object, place: Place) -> list[Problem]:
    found: list[Problem] = []
    if name is not None:
        if wrong := event_name_problem(name):
            found.append(_problem("bad_name", wrong, cls, place, remedy="Take a name such as order.placed."))
        elif f"{name}.".startswith(RESERVED) and cls.__module__ != FRAMEWORK_MODULE:
            message = "names under pavane. are the framework's own."
            found.append(_problem("bad_name", message, cls, place, remedy="Choose another first word."))
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            found.append(_problem("bad_value", f"version {version!r} is no whole number from 1.", cls, place))
    for field in cls.model_fields:
        if field in ("event_name", "event_version"):
            found.append(
                _problem("bad_value", f"{field} belongs to the class; rename the field.", cls, place)
            )
    return found


def _problem(code: str, message: str, cls: type[Event], place: Place, remedy: str = "") -> Problem:
    return Problem(
        code=code, message=message, subject=_subject(cls), file=place.file, line=place.line, remedy=remedy
    )


def _subject(cls: type[Event]) -> str:
    return cls.event_name or cls.__qualname__


class RawEvent(Event):
    """An event as a reader without its class sees it. It cannot be subscribed to or emitted."""

    name: str
    version: int
    payload: dict[str, Any]
