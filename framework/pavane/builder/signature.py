"""What a handler's signature says: which events it takes, what it returns, and what is wrong with it."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_origin

from pavane.builder.annotations import MISSING, Reading, members, read, shown
from pavane.builder.findings import Findings
from pavane.model.context import Context, JobContext
from pavane.model.event import Event
from pavane.model.names import RESERVED

ANYTHING = (MISSING, Any, object)
"""Annotations that say nothing about which events are meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerShape:
    """What a handler takes and gives.

    Attributes:
        arguments: for each argument behind the context, the events that it may be: one argument for a worker
            that takes each event by itself, one for each event of a join.
        joins: it is called once all of its events are there.
        emits: what it may return or emit.
        results: the part of `emits` that it may return; all of it if the return is not annotated.
        returns_none: `None` is among the annotated returns.
    """

    arguments: tuple[tuple[type[Event], ...], ...]
    joins: bool = False
    emits: tuple[type[Event], ...]
    results: tuple[type[Event], ...]
    returns_none: bool
    is_async: bool

    @property
    def events(self) -> tuple[type[Event], ...]:
        """Everything that the worker subscribes to."""
        return tuple(event for choice in self.arguments for event in choice)

    def called(self, *, before: str = "", behind: str = "") -> str:
        """How a function with the handler's arguments is called, as one would write it."""
        given = [event.__name__ for event in self.events] if self.joins else ["event"]
        return f"({', '.join(name for name in (before, *given, behind) if name)})"


def read_function(function: Any, scope: Mapping[str, Any], what: str, findings: Findings) -> Reading | None:
    """The function's reading; `None` (and a problem) if it is nothing that can be called with events."""
    if not callable(function) or isinstance(function, type):
        findings.add("bad_signature", f"{what} has to be a function, not {function!r}.")
        return None
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        findings.add("bad_signature", f"{what} may not yield.")
        return None
    try:
        reading = read(function, scope)
    except (TypeError, ValueError) as error:
        findings.add("bad_signature", f"the signature of {what} cannot be read: {error}.")
        return None
    for text in reading.unresolved:
        findings.add(
            "unresolved_annotation",
            f"{what}: the annotation of {text!r} cannot be evaluated.",
            remedy="Import it outside of `if TYPE_CHECKING:`, or define it before the handler.",
            place=reading.place,
        )
    return reading


def read_handler(
    reading: Reading,
    on: tuple[type[Event], ...] | None,
    on_all: tuple[type[Event], ...] | None,
    emits: tuple[type[Event], ...] | None,
    findings: Findings,
) -> HandlerShape:
    """The shape of a handler. `on`, `on_all` and `emits` are `None` where the builder was not told."""
    expected = ("event",) if on_all is None else tuple(shown(event) for event in on_all)
    if not reading.takes(1 + len(expected)):
        findings.add(
            "bad_signature",
            f"a handler takes ({', '.join(('ctx', *expected))}), this one ({', '.join(reading.names)}).",
            place=reading.place,
        )
    check_context(reading, Context, "bad_signature", findings)
    arguments = (_events(reading, on, findings),) if on_all is None else _joined(reading, on_all, findings)
    returned, returns_none = _returned(reading, findings)
    declared = _emits(reading, returned, emits, findings)
    results = declared if returned is None else tuple(e for e in declared if _admitted(e, returned))
    return HandlerShape(
        arguments=arguments,
        joins=on_all is not None,
        emits=declared,
        results=results,
        returns_none=returns_none,
        is_async=reading.is_async,
    )


def check_context(reading: Reading, wanted: type[JobContext[Any]], code: str, findings: Findings) -> None:
    """Demand that the first parameter, if annotated, is `wanted`, with or without resources."""
    annotation = reading.annotation(0)
    if annotation in ANYTHING:
        return
    found = get_origin(annotation) or annotation
    if not isinstance(found, type) or not issubclass(wanted, found) or found is Event:
        findings.add(
            code,
            f"the first parameter is a {shown(annotation)}, it is called with a {wanted.__name__}.",
            remedy=f"Annotate it as {wanted.__name__}[…].",
            place=reading.place,
        )


def check_admits(
    reading: Reading, arguments: Iterable[tuple[type[Event], ...]], code: str, findings: Findings
) -> None:
    """Demand that each parameter behind the context, if annotated, takes every event that it may be given."""
    for position, events in enumerate(arguments, 1):
        annotation = reading.annotation(position)
        if annotation in ANYTHING:
            continue
        for event in events:
            if not _admitted(event, members(annotation)):
                findings.add(
                    code,
                    f"{reading.names[position]} is a {shown(annotation)}, but the worker takes {shown(event)}"
                    f"{' there' if position > 1 else ''}.",
                    place=reading.place,
                )


def check_events(where: str, events: Iterable[Any], findings: Findings, *, sent: bool = False) -> None:
    """Demand that these are events that can be told by name, each once; if `sent`, none of pavane's own."""
    listed = tuple(events)
    for event in listed:
        if not _is_event(event):
            findings.add("bad_value", f"{where}: {event!r} is no Event class.")
        elif not event.event_name:
            findings.add(
                "unknown_event", f"{where}: {event.__qualname__} has no name.", remedy=_name_it(event)
            )
        elif sent and event.event_name.startswith(RESERVED):
            findings.add("bad_value", f"{where}: {event.event_name} is sent by pavane alone.")
    for name in sorted({shown(event) for event in listed if listed.count(event) > 1}):
        findings.add("bad_value", f"{where}: {name} is named twice.")


def _events(
    reading: Reading, on: tuple[type[Event], ...] | None, findings: Findings
) -> tuple[type[Event], ...]:
    annotation = reading.annotation(1)
    if annotation in ANYTHING:
        if not on and not reading.unresolved:
            findings.add(
                "no_event",
                "nothing says which events it handles.",
                remedy="Annotate the handler's second parameter, or add .on(…).",
                place=reading.place,
            )
        return on or ()
    taken = members(annotation)
    wrong = [one for one in taken if not _is_event(one)]
    for one in wrong:
        findings.add(
            "bad_signature", f"{reading.names[1]}: {shown(one)} is no Event class.", place=reading.place
        )
    if wrong:
        return on or ()
    if on is None:
        check_events(reading.names[1], taken, findings)
        return taken
    _compare(reading, on, taken, findings)
    return on


def _joined(
    reading: Reading, on_all: tuple[type[Event], ...], findings: Findings
) -> tuple[tuple[type[Event], ...], ...]:
    """One argument for each event of `.on_all`, in its order; what is no event was told by the builder."""
    arguments = tuple((event,) for event in on_all if _is_event(event))
    if len(arguments) == len(on_all):
        check_admits(reading, arguments, "contradicting_event", findings)
    return arguments


def _compare(reading: Reading, on: tuple[Any, ...], taken: tuple[Any, ...], findings: Findings) -> None:
    """`.on` and the annotation have to mean the same; a class without name stands for all of its kind."""
    events = [event for event in on if _is_event(event)]
    refused = [event for event in events if not _admitted(event, taken)]
    idle = [one for one in taken if one.event_name and not any(issubclass(event, one) for event in events)]
    for event in refused:
        message = f".on names {event.__name__}, which the annotation of {reading.names[1]} does not take."
        findings.add("contradicting_event", message, place=reading.place)
    for event in idle:
        message = f"{reading.names[1]} is annotated as {event.__name__}, which .on does not name."
        findings.add("contradicting_event", message, place=reading.place)


def _returned(reading: Reading, findings: Findings) -> tuple[tuple[Any, ...] | None, bool]:
    """The event classes of the return annotation (`None`: not annotated), and whether `None` is among it."""
    if reading.returns is MISSING:
        return None, False
    parts = members(reading.returns)
    for one in parts:
        if one is not types.NoneType and not _is_event(one):
            findings.add(
                "bad_signature",
                f"returns {shown(one)}; a handler returns an Event, None, or a union of them.",
                remedy="Return an event; what has no event belongs into ctx.data or your own database.",
                place=reading.place,
            )
    return tuple(one for one in parts if _is_event(one)), types.NoneType in parts


def _emits(
    reading: Reading,
    returned: tuple[Any, ...] | None,
    emits: tuple[type[Event], ...] | None,
    findings: Findings,
) -> tuple[type[Event], ...]:
    if emits is None:
        check_events("return", returned or (), findings, sent=True)
        return returned or ()
    for one in returned or ():
        if not any(_is_event(event) and issubclass(event, one) for event in emits):
            findings.add(
                "contradicting_emit",
                f"returns {one.__name__}, which .emits does not name.",
                remedy=f"Add {one.__name__} to .emits(…), or leave .emits out.",
                place=reading.place,
            )
    return emits


def _admitted(event: type[Event], taken: tuple[Any, ...]) -> bool:
    return _is_event(event) and any(_is_event(one) and issubclass(event, one) for one in taken)


def _is_event(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Event)


def _name_it(event: type[Event]) -> str:
    return f'Give it one: class {event.__name__}(…, name="…"); a base class stands for nothing on the wire.'
