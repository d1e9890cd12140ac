"""Contracts: what an app promises to those who send it events, read its events, or wait for its runs.

A document made from the definitions, kept beside a release and compared with the next one
(`contract_changes`). It says nothing about how the work is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pavane.core.payload_schema import readable_versions, schema_of
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.names import RESERVED
from pavane.model.workflow import Workflow


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class EventContract(_Part):
    """One event.

    Attributes:
        version: of the class, and so of what its workers write.
        reads: the versions that its readers take, older ones by upcasters.
        payload: JSON Schema; `schema` in the document.
        owner: the one service whose workers emit it; `None` if several do, or none.
        outside: whether systems outside may write it.
        emitted_by, read_by: workers, `service.worker`.
    """

    name: str
    version: int = Field(ge=1)
    reads: tuple[int, ...]
    owner: str | None = None
    outside: bool = False
    emitted_by: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()
    payload: dict[str, Any] = Field(validation_alias="schema", serialization_alias="schema")


class WorkflowContract(_Part):
    """One workflow: the names of the events that start and end its runs; the deadline in seconds."""

    name: str
    starts_with: str
    completes_with: tuple[str, ...] = ()
    fails_with: tuple[str, ...] = ()
    deadline_s: float | None = None


class Contracts(_Part):
    """The document; `pavane_contracts` is the version of its own form."""

    pavane_contracts: Literal[1] = 1
    events: tuple[EventContract, ...]
    workflows: tuple[WorkflowContract, ...] = ()


@dataclass(slots=True)
class Sides:
    """Who writes and who reads one event, and the workflow that it starts."""

    event: type[Event]
    emitted_by: list[WorkerDefinition] = field(default_factory=list[WorkerDefinition])
    read_by: list[WorkerDefinition] = field(default_factory=list[WorkerDefinition])
    outside: bool = False
    starts: Workflow[Any, Any] | None = None


def sides_of(
    workers: Iterable[WorkerDefinition],
    workflows: Iterable[Workflow[Any, Any]],
    outside: Iterable[type[Event]],
) -> list[Sides]:
    """Every event of the definitions with its writers and readers, by name.

    Systems outside write what they are said to, what starts a workflow, and what is read and not emitted.
    pavane's own events (`pavane.*`) are written by nobody else.
    """
    found: dict[str, Sides] = {}

    def side(event: type[Event]) -> Sides:
        return found.setdefault(event.event_name, Sides(event))

    for worker in workers:
        for event in worker.events:
            side(event).read_by.append(worker)
        for event in worker.produces:
            side(event).emitted_by.append(worker)
    for workflow in workflows:
        for event in (*workflow.completes_with, *workflow.fails_with):
            side(event)
        side(workflow.starts_with).starts = workflow
    for event in outside:
        side(event).outside = True
    for name, one in found.items():
        one.outside |= one.starts is not None or bool(one.read_by and not one.emitted_by)
        one.outside = one.outside and not name.startswith(RESERVED)
    return [found[name] for name in sorted(found)]


def contracts_of(
    workers: Sequence[WorkerDefinition],
    workflows: Sequence[Workflow[Any, Any]],
    outside: Sequence[type[Event]] = (),
) -> Contracts:
    """The contracts of these definitions; `outside` are events that systems outside emit.

    pavane's own events are not among them: they are no promise of the app.

    Raises:
        UsageError: a field's type has no JSON Schema.
    """
    sides = sides_of(workers, workflows, outside)
    return Contracts(
        events=tuple(_event(one) for one in sides if not one.event.event_name.startswith(RESERVED)),
        workflows=tuple(_workflow(one) for one in sorted(workflows, key=lambda workflow: workflow.name)),
    )


def _event(sides: Sides) -> EventContract:
    services = {worker.service for worker in sides.emitted_by}
    return EventContract(
        name=sides.event.event_name,
        version=sides.event.event_version,
        reads=readable_versions(sides.event),
        owner=services.pop() if len(services) == 1 else None,
        outside=sides.outside,
        emitted_by=tuple(worker.full_name for worker in sides.emitted_by),
        read_by=tuple(worker.full_name for worker in sides.read_by),
        payload=schema_of(sides.event),
    )


def _workflow(workflow: Workflow[Any, Any]) -> WorkflowContract:
    return WorkflowContract(
        name=workflow.name,
        starts_with=workflow.starts_with.event_name,
        completes_with=tuple(event.event_name for event in workflow.completes_with),
        fails_with=tuple(event.event_name for event in workflow.fails_with),
        deadline_s=None if workflow.deadline_ms is None else workflow.deadline_ms / 1000,
    )
