"""Problems between workers: what only shows when services and workflows are put together in an App."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pavane.builder.service import Service
from pavane.errors import Problem
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event, gap_in_upcasters
from pavane.model.source import Place
from pavane.model.workflow import Workflow, workflows_started_by

T = TypeVar("T")

_RENAME = "Give one of them another name."


def check(
    services: Sequence[Service[Any]],
    workflows: Sequence[Workflow[Any, Any]] = (),
    events: Sequence[type[Event]] = (),
) -> tuple[Problem, ...]:
    """Everything wrong between these; empty if they can run together.

    Args:
        events: emitted by systems outside.
    """
    definitions = [definition for service in services for definition in service.definitions]
    return (
        *_shared_names(services, workflows),
        *_nameless(events),
        *_unfinished(services),
        *_duplicate_workers(definitions),
        *_duplicate_events(_classes(definitions, workflows, events)),
        *_gaps(_classes(definitions, workflows, events)),
        *_shared_starts(workflows),
        *_workflows_not_loaded(definitions, workflows),
    )


def _shared_names(
    services: Sequence[Service[Any]], workflows: Sequence[Workflow[Any, Any]]
) -> Iterator[Problem]:
    for name, same in _repeated(services, lambda service: service.name):
        yield _problem("bad_name", f"{len(same)} services have this name.", name, same[-1].place, _RENAME)
    for name, alike in _repeated(workflows, lambda workflow: workflow.name):
        yield _problem("bad_name", f"{len(alike)} workflows have this name.", name, alike[-1].place, _RENAME)


def _nameless(events: Sequence[type[Event]]) -> Iterator[Problem]:
    for event in events:
        if not event.event_name:
            message = "its class has no name, so nobody can send it."
            yield _problem("unknown_event", message, event.__qualname__, Place())


def _unfinished(services: Sequence[Service[Any]]) -> Iterator[Problem]:
    for service in services:
        for slot in service.unfinished:
            yield _problem(
                "unfinished_worker",
                "it was begun and has no handler.",
                slot.full_name,
                slot.place,
                "Use the builder as a decorator, or finish it with .handler(function).",
            )


def _duplicate_workers(definitions: Sequence[WorkerDefinition]) -> Iterator[Problem]:
    for name, same in _repeated(definitions, lambda definition: definition.full_name):
        message = f"{len(same)} workers have this name; a worker is one queue and one handler."
        yield _problem("duplicate_worker", message, name, same[-1].place, _RENAME)


def _duplicate_events(events: Iterable[type[Event]]) -> Iterator[Problem]:
    for name, same in _repeated(tuple(events), lambda event: event.event_name):
        where = " and ".join(sorted(f"{event.__module__}.{event.__qualname__}" for event in same))
        remedy = "Import the event from one module everywhere."
        yield _problem("duplicate_event", f"it has more than one class: {where}.", name, Place(), remedy)


def _gaps(events: Iterable[type[Event]]) -> Iterator[Problem]:
    for event in events:
        gap = gap_in_upcasters(event)
        if gap is not None:
            message = f"its upcasters have a gap: nothing lifts version {gap}."
            remedy = f"Add @{event.__name__}.upcaster(from_version={gap})."
            yield _problem("bad_value", message, event.event_name, Place(), remedy)


def _shared_starts(workflows: Sequence[Workflow[Any, Any]]) -> Iterator[Problem]:
    for name, same in _repeated(workflows, lambda workflow: workflow.starts_with.event_name):
        names = " and ".join(workflow.name for workflow in same)
        message = f"it starts {names}; an event starts at most one workflow."
        remedy = "Let one of them start with another event, which a worker of the other may emit."
        yield _problem("start_event_shared", message, name, same[-1].place, remedy)


def _workflows_not_loaded(
    definitions: Sequence[WorkerDefinition], workflows: Sequence[Workflow[Any, Any]]
) -> Iterator[Problem]:
    loaded = {workflow.starts_with for workflow in workflows}
    for definition in definitions:
        for event in definition.events:
            missing = workflows_started_by(event)
            if event not in loaded and missing:
                yield _problem(
                    "workflow_not_loaded",
                    f"{event.event_name}, which it takes, starts {missing[0].name}, and the App lacks that.",
                    definition.full_name,
                    definition.place,
                    f"Add {missing[0].name} to App(workflows=[…]).",
                )


def _classes(
    definitions: Sequence[WorkerDefinition],
    workflows: Sequence[Workflow[Any, Any]],
    events: Sequence[type[Event]],
) -> tuple[type[Event], ...]:
    """Every event class that is spoken of, once."""
    found: list[type[Event]] = [*events]
    for definition in definitions:
        found += [*definition.events, *definition.produces]
    for workflow in workflows:
        found += [workflow.starts_with, *workflow.completes_with, *workflow.fails_with]
    return tuple(dict.fromkeys(event for event in found if event.event_name))


def _repeated(items: Sequence[T], name: Callable[[T], str]) -> Iterator[tuple[str, list[T]]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[name(item)].append(item)
    return ((key, group) for key, group in groups.items() if len(group) > 1)


def _problem(code: str, message: str, subject: str, place: Place, remedy: str = "") -> Problem:
    return Problem(
        code=code, message=message, subject=subject, file=place.file, line=place.line, remedy=remedy
    )
