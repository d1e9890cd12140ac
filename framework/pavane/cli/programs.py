"""What an app says of itself to a check: a `Program`, made from its definitions and its handlers' source."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from pavane.app import App
from pavane.builder.handler_source import SourceReading, read_source
from pavane.core.choreography import Accepted, Contract, Payload, Program, Undeclared, Worker
from pavane.core.choreography_work import retries_ms
from pavane.core.payload_schema import readable_versions, schema_of
from pavane.errors import Problem, UsageError
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.source import Place
from pavane.model.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a process answers that was asked to load an app: its program, or why there is none."""

    program: Program | None = None
    problems: tuple[Problem, ...] = ()
    refusal: str = ""
    remedy: str = ""


INTRODUCTION: Final = TypeAdapter(Introduction)


def program_of(app: App, name: str) -> Program:
    """The app's program; `name` is what it was loaded as."""
    return Program(
        name=name,
        workers=tuple(worker_of(definition) for definition in app.workers),
        workflows=tuple(contract_of(workflow) for workflow in app.workflows),
        outside=_names(app.events),
        payloads=tuple(payload_of(event) for event in events_of(app)),
        accepted=tuple(
            Accepted(code=allow.code, subject=allow.subject, reason=allow.reason) for allow in app.allow
        ),
    )


def worker_of(definition: WorkerDefinition) -> Worker:
    """The worker, as the others see it."""
    source = read_source(definition.handler)
    results = _names(definition.results) if _says_what_it_returns(definition) else ()
    answers = _names(definition.on_exhausted.events)
    extras = tuple(event for event in _names(definition.emits) if event not in results)
    undo = definition.compensation
    return Worker(
        name=definition.full_name,
        hears=_names(definition.events),
        joins=definition.joins,
        results=results,
        extras=extras,
        answers=answers,
        at_once=(*results, *answers, *(event for event in extras if event in _at_once(source))),
        undeclared=_undeclared(definition, source),
        returns_only=source.returns_only,
        has_effect=source.acts_outside,
        has_undo=undo is not None,
        compensates=definition.on_exhausted.action == "compensate",
        retries_ms=retries_ms(definition.retry, definition.retry.max_attempts),
        lease_ms=definition.lease_ms,
        limited_without_timeout=definition.rate_limit is not None and not definition.timeout_given,
        timeout_ms=definition.timeout_ms,
        step_timeout_ms=definition.step_timeout_ms,
        undo_timeout_ms=undo.timeout_ms if undo else None,
        max_dead_letters=definition.dead_letters.max_length,
        place=definition.place,
    )


def contract_of(workflow: Workflow[Any, Any]) -> Contract:
    """The workflow's contract."""
    return Contract(
        name=workflow.name,
        starts_with=workflow.starts_with.event_name,
        completes_with=_names(workflow.completes_with),
        fails_with=_names(workflow.fails_with),
        deadline_ms=workflow.deadline_ms,
        place=workflow.place,
    )


def payload_of(event: type[Event]) -> Payload:
    """The event's class, as this process has it."""
    try:
        schema = schema_of(event)
    except UsageError:
        schema = None  # a field's type has no schema: there is nothing to compare
    return Payload(
        event=event.event_name,
        version=event.event_version,
        reads=readable_versions(event),
        schema=schema,
        place=_place_of(event),
    )


def events_of(app: App) -> tuple[type[Event], ...]:
    """Every event it speaks of, once."""
    found: list[type[Event]] = [*app.events]
    for worker in app.workers:
        found += [*worker.events, *worker.produces]
    for workflow in app.workflows:
        found += [workflow.starts_with, *workflow.completes_with, *workflow.fails_with]
    return tuple(dict.fromkeys(found))


def _says_what_it_returns(definition: WorkerDefinition) -> bool:
    """Without an annotation a handler may return anything that it declares, or nothing."""
    signature = inspect.signature(definition.handler)
    return signature.return_annotation is not inspect.Signature.empty


def _at_once(source: SourceReading) -> set[str]:
    return {sending.event.event_name for sending in source.sendings if not sending.later}


def _undeclared(definition: WorkerDefinition, source: SourceReading) -> tuple[Undeclared, ...]:
    declared = set(_names(definition.emits))
    return tuple(
        Undeclared(event=sending.event.event_name or sending.event.__qualname__, place=sending.place)
        for sending in source.sendings
        if sending.event.event_name not in declared
    )


def _names(events: Iterable[type[Event]]) -> tuple[str, ...]:
    return tuple(event.event_name for event in events)


def _place_of(event: type[Event]) -> Place:
    try:
        return Place(inspect.getsourcefile(event), inspect.getsourcelines(event)[1])
    except (OSError, TypeError):
        return Place()
