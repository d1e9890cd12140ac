"""The graph of what is defined: who would hear and send what, with the starts, the endings and the undos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pavane.core.drawing.graph import Graph, Link, Node, Role, node_id
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.names import RESERVED
from pavane.model.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that takes part: workers and workflows each once, and the events from systems outside."""

    workers: tuple[WorkerDefinition, ...]
    workflows: tuple[Workflow[Any, Any], ...]
    outside: tuple[type[Event], ...] = ()

    def part_of(self, workflow: Workflow[Any, Any]) -> Definitions:
        """What can follow from a workflow's start, from its endings, and from pavane's own events about its runs.

        An event from outside takes part if what follows from it does. A start belongs to the run that it starts, so
        what follows from another workflow's is not in here, nor what leads to this one's.
        """
        others = {one.starts_with.event_name for one in self.workflows if one is not workflow}
        heard = {event.event_name for worker in self.workers for event in worker.events}
        own = [workflow.starts_with, *workflow.completes_with, *workflow.fails_with]
        first = {event.event_name for event in own} | {name for name in heard if name.startswith(RESERVED)}
        inside = self._following(first, others)
        outside: list[type[Event]] = []
        for event in self.outside:
            following = self._following({event.event_name}, others | {workflow.starts_with.event_name})
            if not inside.isdisjoint(following):
                outside.append(event)
                inside |= following
        workers = [worker for worker in self.workers if not inside.isdisjoint(_names(worker.events))]
        return Definitions(tuple(workers), (workflow,), tuple(outside))

    def _following(self, first: Iterable[str], others: set[str]) -> set[str]:
        found: set[str] = set()
        ahead = list(first)
        while ahead:
            name = ahead.pop()
            if name in found:
                continue
            found.add(name)
            ahead += [
                sent
                for worker in self.workers
                if worker.event_class(name) is not None
                for sent in _names(worker.produces)
                if sent not in others
            ]
        return found


def graph_of(definitions: Definitions, *, title: Sequence[str] = ()) -> Graph:
    """The graph of these workers and the events that they hear or send, or that start or end a workflow."""
    closing = _closing(definitions)
    workers = [_worker(worker, closing) for worker in definitions.workers]
    events = [_event(name, definitions, closing) for name in _event_names(definitions)]
    links = dict.fromkeys(link for worker in definitions.workers for link in _links(worker))
    # Events first: where causes do not decide, a starting event stands left of a worker.
    return Graph(title=tuple(title), nodes=(*events, *workers), links=tuple(links))


def _names(events: Iterable[type[Event]]) -> list[str]:
    return [event.event_name for event in events]


def _event_names(definitions: Definitions) -> list[str]:
    workflows, workers = definitions.workflows, definitions.workers
    starts = [workflow.starts_with for workflow in workflows]
    moving = [event for worker in workers for event in (*worker.events, *worker.produces)]
    endings = [event for workflow in workflows for event in (*workflow.completes_with, *workflow.fails_with)]
    return list(dict.fromkeys(_names([*starts, *moving, *endings])))


def _worker(worker: WorkerDefinition, closing: Closing) -> Node:
    notes: list[str] = ["once, when all are there"] if worker.joins else []
    if worker.full_name in closing.workers:
        notes.append("closing")
    if worker.compensation is not None:
        notes.append(f"undo: {getattr(worker.compensation.undo, '__name__', 'yes')}")
    match worker.on_exhausted.action:
        case "compensate":
            notes.append("if exhausted: compensate")
        case "answer":
            notes.append(f"if exhausted: {' or '.join(_names(worker.on_exhausted.events))}")
        case "stall":
            pass
    says: dict[Role, bool] = {"closing": worker.full_name in closing.workers, "join": worker.joins}
    return Node(
        kind="worker",
        name=worker.full_name,
        notes=tuple(notes),
        roles=tuple(role for role, is_so in says.items() if is_so),
        about=worker.description,
    )


def _event(name: str, definitions: Definitions, closing: Closing) -> Node:
    notes: list[str] = []
    roles: list[Role] = []
    for workflow in definitions.workflows:
        says: Mapping[Role, bool] = {
            "start": workflow.starts_with.event_name == name,
            "completes": name in _names(workflow.completes_with),
            "fails": name in _names(workflow.fails_with),
        }
        for role, is_so in says.items():
            if is_so:
                roles.append(role)
                notes.append(f"{'starts' if role == 'start' else role} {workflow.name}")
    if name in _names(definitions.outside):
        roles.append("outside")
        notes.append("from outside")
    if name.startswith(RESERVED):
        roles.append("framework")
        notes.append("from pavane itself")
    if name in closing.events and not roles:
        roles.append("closing")
    return Node(kind="event", name=name, notes=tuple(notes), roles=tuple(dict.fromkeys(roles)))


def _links(worker: WorkerDefinition) -> list[Link]:
    here = node_id("worker", worker.full_name)
    heard = [Link(source=node_id("event", name), target=here, kind="hears") for name in _names(worker.events)]
    sent = [Link(source=here, target=node_id("event", name), kind="sends") for name in _names(worker.emits)]
    answered = [
        Link(source=here, target=node_id("event", name), kind="answers")
        for name in _names(worker.on_exhausted.events)
        if name not in _names(worker.emits)
    ]
    return [*heard, *sent, *answered]


@dataclass(frozen=True, slots=True)
class Closing:
    """What happens only after an end: events that are or follow from endings, and the workers on them."""

    events: frozenset[str]
    workers: frozenset[str]


def _closing(definitions: Definitions) -> Closing:
    ending = {
        event.event_name
        for workflow in definitions.workflows
        for event in (*workflow.completes_with, *workflow.fails_with)
    }
    events = ending | {name for name in _event_names(definitions) if name.startswith(RESERVED)}
    never = {workflow.starts_with.event_name for workflow in definitions.workflows}
    never |= set(_names(definitions.outside))
    while True:
        workers = {worker.full_name for worker in definitions.workers if _only_after(events, worker)}
        sent = {name for worker in definitions.workers for name in _names(worker.produces)} - never - events
        more = {
            name
            for name in sent
            if all(w.full_name in workers for w in definitions.workers if name in _names(w.produces))
        }
        if not more:
            return Closing(frozenset(events), frozenset(workers))
        events |= more


def _only_after(events: set[str], worker: WorkerDefinition) -> bool:
    """Whether the worker never runs before one of these events is there."""
    names = _names(worker.events)
    return not events.isdisjoint(names) if worker.joins else events.issuperset(names)
