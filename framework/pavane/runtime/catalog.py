"""What this process knows: its workers, its workflows, and how an event finds the run it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pavane.core.record import Contract
from pavane.core.topology import Names, Topology, WorkerTopology
from pavane.model.definition import WorkerDefinition
from pavane.model.workflow import Workflow
from pavane.settings import Settings


class Catalog:
    """Definitions, as the runtime looks them up."""

    def __init__(
        self, workers: Sequence[WorkerDefinition], workflows: Sequence[Workflow[Any, Any]], settings: Settings
    ) -> None:
        self.workers = {worker.full_name: worker for worker in workers}
        self.workflows = {workflow.name: workflow for workflow in workflows}
        self.names = Names(settings.namespace)
        self._started_by = {workflow.starts_with.event_name: workflow for workflow in workflows}
        self._contracts = {workflow.name: contract_of(workflow, settings) for workflow in workflows}

    def started_by(self, event: str) -> Workflow[Any, Any] | None:
        """The workflow that an event starts: decided by what this process has loaded, never by a header."""
        return self._started_by.get(event)

    def contract(self, workflow: Workflow[Any, Any]) -> Contract:
        """What the workflow promises to each run that begins now."""
        return self._contracts[workflow.name]

    def topology(self) -> Topology:
        """What the workers of this process need of the broker."""
        return Topology(
            namespace=self.names.namespace,
            workers=tuple(
                WorkerTopology(
                    service=worker.service,
                    worker=worker.name,
                    events=tuple(event.event_name for event in worker.events),
                    undo=worker.compensation is not None,
                    max_dead_letters=worker.dead_letters.max_length,
                    emits=tuple(event.event_name for event in worker.produces),
                )
                for worker in self.workers.values()
            ),
        )


def contract_of(workflow: Workflow[Any, Any], settings: Settings) -> Contract:
    """What a workflow promises, as the head of each of its runs keeps it."""
    return Contract(
        workflow=workflow.name,
        completes=tuple(event.event_name for event in workflow.completes_with),
        fails=tuple(event.event_name for event in workflow.fails_with),
        undo=workflow.undo,
        deadline=workflow.deadline_ms or 0,
        retention=workflow.retention_ms or int(settings.retention * 1000),
        idle_after=int(settings.idle_after * 1000),
        max_history=settings.max_history,
    )
