"""Which run is asked for, and how its completing event is read: by the workflow's classes, or raw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pavane.core.record import EventRow
from pavane.errors import UnknownEvent, UsageError
from pavane.model.event import Event, RawEvent
from pavane.model.names import run_id_problem, split_run
from pavane.model.wire import decode, parse
from pavane.model.workflow import Workflow

C = TypeVar("C", bound=Event)


def result_of(workflow: Workflow[Any, C]) -> Callable[[EventRow], C]:
    """Reads the completing event with the workflow's own classes."""

    def read(row: EventRow) -> C:
        for event in cast("tuple[type[C], ...]", workflow.completes_with):
            if event.event_name == row.name:
                return decode(event, row.payload, row.version)
        raise UnknownEvent(
            f"The run was completed by {row.name}, which {workflow.name} does not name here.",
            remedy="The run began under another version of the workflow: use client.run(<full name>).",
        )

    return read


def raw_result(row: EventRow) -> RawEvent:
    """Reads the completing event without its class."""
    # Pydantic refuses a payload that is no object: every event class writes one.
    return RawEvent(name=row.name, version=row.version, payload=parse(row.payload))


@dataclass(frozen=True, slots=True)
class AskedFor(Generic[C]):
    """A run by its two names, and how its result is read."""

    workflow: str
    run_id: str
    read_result: Callable[[EventRow], C]


def run_asked_for(
    workflow: Workflow[Any, Any] | str | None = None, run_id: str | None = None, *, run: str | None = None
) -> AskedFor[Any]:
    """The run that the arguments of `Client.run` name: its full name, or a workflow and a run id.

    Raises:
        UsageError: no such name can exist.
    """
    if isinstance(workflow, Workflow):
        if wrong := run_id_problem(run_id):
            raise UsageError(wrong)
        return AskedFor(workflow.name, str(run_id), result_of(workflow))
    name = run if workflow is None else workflow
    parts = split_run(name) if isinstance(name, str) and run_id is None else None
    if parts is None:
        raise UsageError(f"{name!a:.200} is no run.", remedy="A run is named <workflow>:<run id>.")
    return AskedFor(*parts, raw_result)
