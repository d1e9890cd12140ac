"""Workflows: the contract of a kind of run. Which event starts it, which end it, how long it may take."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Literal, TypeAlias

from typing_extensions import TypeVar

from pavane.errors import DefinitionError, Problem, UsageError
from pavane.model.duration import Duration, positive_ms
from pavane.model.event import Event
from pavane.model.later import not_yet
from pavane.model.names import name_problem, run_id_problem
from pavane.model.source import caller

S = TypeVar("S", bound=Event)
C = TypeVar("C", bound=Event, default=Event)
AttributeValue: TypeAlias = str | int | float | bool | datetime
UndoOrder: TypeAlias = Literal["sequential", "parallel"]


class Workflow(Generic[S, C]):
    """The contract of a kind of run.

    Args:
        name: `[a-z][a-z0-9_]*`, at most 63 characters.
        starts_with: the one event that starts a run; an event starts at most one workflow.
        run_id: a pure function from the starting event to the run's id; the same id is the same run, so
            starting twice is harmless. `None`: the starting event's own id.
        completes_with, fails_with: the events that end a run; the first one committed decides.
        deadline: from the start to a terminal status; passing it fails the run.
        undo: one undo after the other in reverse order of commit; `"parallel"`: undos of steps that none
            caused the other go on at the same time.
        retention: how long an ended run's record is kept; `None`: as the settings say.
        states, attributes: refused, this version cannot do them yet.

    Raises:
        DefinitionError: with every problem found, among them `no_ending`.
    """

    def __init__(
        self,
        name: str,
        description: str = "",
        *,
        starts_with: type[S],
        run_id: Callable[[S], str] | None = None,
        completes_with: Sequence[type[C]] = (),
        fails_with: Sequence[type[Event]] = (),
        deadline: Duration | None = None,
        states: Mapping[str, Mapping[type[Event], str]] | None = None,
        attributes: Mapping[str, type[AttributeValue]] | None = None,
        undo: UndoOrder = "sequential",
        retention: Duration | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.starts_with = starts_with
        self.run_id = run_id
        self.completes_with = _classes(completes_with)
        self.fails_with = _classes(fails_with)
        self.place = caller()
        found = _Findings(self)
        found.later(states=states is not None, attributes=bool(attributes))
        self.undo: UndoOrder = found.undo(undo)
        found.name()
        found.events()
        found.endings()
        self.deadline_ms = found.milliseconds("deadline", deadline)
        self.retention_ms = found.milliseconds("retention", retention)
        if found.problems:
            raise DefinitionError(*found.problems)
        _started_by.setdefault(starts_with, weakref.WeakSet()).add(self)

    def __repr__(self) -> str:
        return f"<Workflow {self.name}>"

    def run_id_of(self, event: S, event_id: str) -> str:
        """The id of the run that `event` (with id `event_id`) starts.

        Raises:
            UsageError: the workflow's function failed, or what it returned is no run id.
        """
        if self.run_id is None:
            return event_id
        try:
            run_id = self.run_id(event)
        except Exception as error:
            raise UsageError(
                f"run_id of workflow {self.name} raised {type(error).__name__}: {error}"
            ) from error
        if wrong := run_id_problem(run_id):
            raise UsageError(
                f"Workflow {self.name}: {wrong}", remedy="Let run_id return only such characters."
            )
        return run_id


_started_by: weakref.WeakKeyDictionary[type[Event], weakref.WeakSet[Workflow[Any, Any]]]
_started_by = weakref.WeakKeyDictionary()


def workflows_started_by(event: type[Event]) -> tuple[Workflow[Any, Any], ...]:
    """Every workflow of this process that `event` starts, whether an App loaded it or not."""
    return tuple(sorted(_started_by.get(event, ()), key=lambda workflow: workflow.name))


def _classes(classes: Any) -> tuple[Any, ...]:
    """A single class, or something that is no sequence, becomes an entry that the checks then name."""
    return tuple(classes) if isinstance(classes, (list, tuple, set, frozenset)) else (classes,)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


class _Findings:
    """The problems of one workflow, collected so that they are shown together."""

    def __init__(self, workflow: Workflow[Any, Any]) -> None:
        self.workflow = workflow
        self.problems: list[Problem] = []

    def add(self, code: str, message: str, remedy: str = "") -> None:
        place = self.workflow.place
        self.problems.append(
            Problem(
                code=code,
                message=message,
                subject=str(self.workflow.name),
                file=place.file,
                line=place.line,
                remedy=remedy,
            )
        )

    def later(self, *, states: bool, attributes: bool) -> None:
        asked = {"states=": states, "attributes=": attributes}
        self.problems += [
            not_yet(what, str(self.workflow.name)) for what, is_asked in asked.items() if is_asked
        ]

    def undo(self, order: Any) -> UndoOrder:
        if order not in ("sequential", "parallel"):
            self.add("bad_value", f'undo is "sequential" or "parallel", not {order!r}.')
        return "parallel" if order == "parallel" else "sequential"

    def name(self) -> None:
        if wrong := name_problem(self.workflow.name):
            self.add("bad_name", wrong, remedy="Take a name such as order_fulfilment.")

    def events(self) -> None:
        workflow = self.workflow
        named: list[tuple[str, Any]] = [("starts_with", workflow.starts_with)]
        named += [("completes_with", event) for event in workflow.completes_with]
        named += [("fails_with", event) for event in workflow.fails_with]
        for where, event in named:
            if not isinstance(event, type) or not issubclass(event, Event):
                self.add("bad_value", f"{where}: {event!r} is no Event class.")
            elif not event.event_name:
                remedy = f'Give {event.__qualname__} a name: class {event.__qualname__}(Event, name="…").'
                self.add("unknown_event", f"{where}: {event.__qualname__} has no name.", remedy)

    def endings(self) -> None:
        workflow = self.workflow
        if not workflow.completes_with:
            self.add("no_ending", "no event completes it.", "Name one or more in completes_with=[…].")
        ending = [*workflow.completes_with, *workflow.fails_with]
        for event in sorted({e.__qualname__ for e in ending if isinstance(e, type) and ending.count(e) > 1}):
            self.add("bad_value", f"{event} is named more than once among the ending events.")
        if workflow.starts_with in ending:
            self.add("bad_value", "the starting event cannot be an ending event too.")

    def milliseconds(self, what: str, duration: Duration | None) -> int | None:
        try:
            return None if duration is None else positive_ms(duration)
        except ValueError as error:
            self.add("bad_value", f"{what}: {error}.")
            return None
