"""What follows a step that went wrong: reading the `on_exhausted` function and the undo."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pavane.builder.annotations import MISSING, Reading, members, shown
from pavane.builder.findings import Findings
from pavane.builder.signature import (
    ANYTHING,
    HandlerShape,
    check_admits,
    check_context,
    check_events,
    read_function,
)
from pavane.model.context import UndoContext
from pavane.model.definition import Compensation, Exhaustion
from pavane.model.event import Event
from pavane.model.policies import RetryPolicy
from pavane.model.values import StepFailure

# The second form is the one in use; it also tells checkers what the arguments of a lambda are.
Action = Literal["stall", "compensate"] | Callable[[Any, StepFailure], Event] | Callable[..., Event]


def read_exhaustion(
    action: Action, shape: HandlerShape, scope: Mapping[str, Any], findings: Findings
) -> Exhaustion:
    """What `.on_exhausted(action)` means for a worker of this shape."""
    if isinstance(action, str):
        if action not in ("stall", "compensate"):
            findings.add("bad_value", f'on_exhausted is "stall", "compensate" or a function, not {action!r}.')
            return Exhaustion()
        return Exhaustion(action=action)
    reading = read_function(action, scope, "the on_exhausted function", findings)
    if reading is None:
        return Exhaustion()
    if reading.is_async or not reading.takes(1 + len(shape.arguments)):
        message = f"the on_exhausted function is a plain one of {shape.called(behind='failure')}."
        findings.add("bad_signature", message, place=reading.place)
    else:
        _check_arguments(reading, shape, findings)
    return Exhaustion(action="answer", function=action, events=_answers(reading, shape, findings))


def _check_arguments(reading: Reading, shape: HandlerShape, findings: Findings) -> None:
    for position, events in enumerate(shape.arguments):
        annotation = reading.annotation(position)
        for event in events if annotation not in ANYTHING else ():
            if not _takes(members(annotation), event):
                message = f"the on_exhausted function takes {shown(annotation)}, the worker {shown(event)}."
                findings.add("bad_signature", message, place=reading.place)


def _answers(reading: Reading, shape: HandlerShape, findings: Findings) -> tuple[type[Event], ...]:
    if reading.returns is MISSING:
        if not shape.emits and not reading.unresolved:
            findings.add(
                "bad_signature",
                "nothing says which event the on_exhausted function makes.",
                remedy="Annotate its return, or name the event in .emits(…).",
                place=reading.place,
            )
        return shape.emits
    answers = members(reading.returns)
    if any(not isinstance(one, type) or not issubclass(one, Event) for one in answers):
        message = f"the on_exhausted function returns {shown(reading.returns)}, it has to return an event."
        findings.add("bad_signature", message, place=reading.place)
        return ()
    check_events("the on_exhausted function's return", answers, findings, sent=True)
    return answers


def read_undo(
    undo: Callable[..., Any],
    shape: HandlerShape,
    scope: Mapping[str, Any],
    findings: Findings,
    *,
    uncertain: bool,
    retry: RetryPolicy,
    timeout_ms: int,
) -> Compensation | None:
    """What `.compensate_with(undo, …)` means for a worker of this shape; `None` if it cannot be read."""
    reading = read_function(undo, scope, "the undo", findings)
    if reading is None:
        return None
    behind = 1 + len(shape.arguments)  # the place of `done`
    takes_done = reading.takes(behind + 1)
    if not takes_done and not reading.takes(behind):
        expected = f"{shape.called(before='ctx')} or {shape.called(before='ctx', behind='done')}"
        message = f"an undo takes {expected}, this one ({', '.join(reading.names)})."
        findings.add("undo_mismatch", message, place=reading.place)
        return None
    check_context(reading, UndoContext, "undo_mismatch", findings)
    check_admits(reading, shape.arguments, "undo_mismatch", findings)
    if reading.returns not in (MISSING, Any, types.NoneType):
        message = f"an undo returns nothing, this one {shown(reading.returns)}."
        findings.add("undo_mismatch", message, place=reading.place)
    return Compensation(
        undo=undo,
        is_async=reading.is_async,
        takes_done=takes_done,
        admits=_admits(reading, behind, shape, findings, uncertain=uncertain) if takes_done else None,
        uncertain=uncertain,
        retry=retry,
        timeout_ms=timeout_ms,
    )


def _admits(
    reading: Reading, place: int, shape: HandlerShape, findings: Findings, *, uncertain: bool
) -> tuple[str, ...] | None:
    """Names of the results that `done` takes, `""` for None; `None` where it is not annotated."""
    annotation = reading.annotation(place)
    if annotation in ANYTHING:
        return None
    taken = members(annotation)
    takes_none = types.NoneType in taken
    for one in taken:
        if one is not types.NoneType and not _is_result(one, shape):
            message = f"done is annotated as {shown(one)}, which the worker never returns."
            findings.add("undo_mismatch", message, place=reading.place)
    if uncertain and not takes_none:
        findings.add(
            "undo_mismatch",
            "done is None for a step that began and never answered, but its annotation does not say so.",
            remedy=f"Annotate it as {shown(annotation)} | None, or pass uncertain=False.",
            place=reading.place,
        )
    names = [event.event_name for event in shape.results if _takes(taken, event)]
    return (*names, "") if takes_none else tuple(names)


def _is_result(one: Any, shape: HandlerShape) -> bool:
    return isinstance(one, type) and any(issubclass(event, one) for event in shape.results)


def _takes(taken: tuple[Any, ...], event: type[Event]) -> bool:
    return any(isinstance(one, type) and issubclass(event, one) for one in taken)
