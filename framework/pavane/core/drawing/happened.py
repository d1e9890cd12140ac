"""A run drawn over the graph of what is defined: what came, who worked, how it went, and what was undone.

The record is read, not the definitions: a worker or an event that the app does not know (it lives in another
service, or is gone since) is added, so that nothing that happened is missing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from pavane.core.drawing.graph import Graph, Link, LinkState, Node, NodeState, node_id
from pavane.core.kept import JOINED
from pavane.model.views import Attempt, HistoryEntry, RunStatus, Step

WORST_FIRST: tuple[NodeState, ...] = (
    "dead",
    "undo_stuck",
    "retrying",
    "undoing",
    "running",
    "waiting",
    "undone",
    "committed",
    "skipped",
    "refused",
)
"""Of several steps of a worker the first of these is the worker's colour; its notes count them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A run, as readers see it; `timers` are the events that wait for their time."""

    run: RunStatus
    steps: Sequence[Step]
    history: Sequence[HistoryEntry] = ()
    timers: Sequence[tuple[str, datetime]] = ()


def draw_over(graph: Graph, happened: Happened) -> Graph:
    """The graph with the run on it; what the run did not touch is `idle`."""
    seen = _Seen(happened)
    nodes = {node.id: node for node in graph.nodes}
    for name in (*seen.came, *seen.due):
        nodes.setdefault(node_id("event", name), Node(kind="event", name=name))
    for name in seen.steps:
        nodes.setdefault(node_id("worker", name), Node(kind="worker", name=name))
    links = {(link.source, link.target): link for link in graph.links}
    for source, target in seen.heard:
        links.setdefault((source, target), Link(source=source, target=target, kind="hears"))
    for source, target in seen.sent:
        links.setdefault((source, target), Link(source=source, target=target, kind="sends"))
    return Graph(
        title=_title(happened.run),
        nodes=tuple(
            seen.event(node) if node.kind == "event" else seen.worker(node) for node in nodes.values()
        ),
        links=tuple(replace(link, state=seen.state_of(link)) for link in links.values()),
    )


class _Seen:
    """What the run's steps and history tell, by names."""

    def __init__(self, happened: Happened) -> None:
        self._run = happened.run
        self.steps: dict[str, list[Step]] = {}
        for step in happened.steps:
            self.steps.setdefault(step.worker, []).append(step)
        names = {
            record.id: record.name
            for step in happened.steps
            for record in (step.event, step.result)
            if record is not None and record.name != JOINED
        }
        told = [line for line in happened.history if line.event]
        names |= {str(line.detail["id"]): line.event for line in told if line.event and "id" in line.detail}
        self.came = self._arrivals(names, told)
        self.due: dict[str, datetime] = {}
        for name, at in happened.timers:
            self.due[name] = min(at, self.due.get(name, at))
        self.heard: dict[tuple[str, str], list[Step]] = defaultdict(list)
        self.joined: dict[str, list[Step]] = defaultdict(list)
        self.open_joins = {one.worker for one in happened.run.waiting_for if one.kind == "join"}
        for step in happened.steps:
            if step.event is not None and step.event.name == JOINED:
                self.joined[node_id("worker", step.worker)].append(step)
            elif step.event is not None:
                self.heard[node_id("event", step.event.name), node_id("worker", step.worker)].append(step)
        self.sent = self._sendings(happened.steps, names, told)

    def _arrivals(self, names: dict[str, str], told: list[HistoryEntry]) -> dict[str, int]:
        """Every event that came, in order, and how many of it."""
        counted = Counter(names.values())
        if self._run.result is not None:
            counted.setdefault(self._run.result.name, 1)
        for line in told:
            if line.event and line.kind in ("run_started", "event_emitted"):
                counted.setdefault(line.event, 1)
        return dict(counted)

    @staticmethod
    def _sendings(
        steps: Sequence[Step], names: dict[str, str], told: list[HistoryEntry]
    ) -> dict[tuple[str, str], None]:
        by_steps = (
            (step.worker, name)
            for step in steps
            for name in (
                *([step.result.name] if step.result else ()),
                *(names[event] for event in step.emitted if event in names),
            )
        )
        by_history = (
            (line.worker, line.event)
            for line in told
            if line.kind == "event_emitted" and line.worker and line.event
        )
        return {
            (node_id("worker", worker), node_id("event", event)): None
            for worker, event in chain(by_steps, by_history)
        }

    def event(self, node: Node) -> Node:
        became: list[str] = []
        if count := self.came.get(node.name, 0):
            became += [f"{count} times"] if count > 1 else []
            became += ["ended the run"] if node.name == self._run.reason else []
        if node.name in self.due:
            became.append(f"due at {_moment(self.due[node.name])}")
        state: NodeState = "came" if count else "waiting" if node.name in self.due else "idle"
        return replace(node, became=tuple(became), state=state)

    def worker(self, node: Node) -> Node:
        steps = self.steps.get(node.name, [])
        if not steps and node.name in self.open_joins:
            return replace(node, became=("waits for the rest",), state="waiting")
        if not steps:
            return replace(node, state="idle")
        states = Counter(step.status for step in steps)
        state = min(states, key=WORST_FIRST.index)
        return replace(node, became=tuple(_what_became(steps)), state=state)

    def state_of(self, link: Link) -> LinkState:
        steps = self.heard.get((link.source, link.target))
        if link.kind == "hears" and not steps:
            # A join's own job says which events it joined no more: all that its worker hears.
            steps = self.joined.get(link.target)
        if steps:
            return "refused" if all(step.status == "refused" for step in steps) else "taken"
        return "taken" if (link.source, link.target) in self.sent else "idle"


def _what_became(steps: Sequence[Step]) -> list[str]:
    """A worker's steps in a few lines: how they stand, what it took, what went wrong last."""
    counted = Counter(step.status for step in steps)
    ordered = sorted(counted, key=WORST_FIRST.index)
    if len(steps) == 1:
        lines = [_words(ordered[0])]
    else:
        lines = [", ".join(f"{counted[state]} {_words(state)}" for state in ordered)]
    attempts = sum(max(step.attempt, len(step.attempts)) for step in steps)
    took = sum(step.duration_s or 0.0 for step in steps)
    if attempts > len(steps):
        lines.append(f"{attempts} attempts")
    elif len(steps) == 1 and took:
        lines[0] += f", {_duration(took)}"
    for step in steps:
        if step.undo is not None and step.undo.outcome == "unknown":
            lines.append("undone without knowing its outcome")
        if step.undo is not None and len(step.undo.attempts) > 1:
            lines.append(f"{len(step.undo.attempts)} attempts of its undo")
    failed = [step for step in steps if step.status in ("dead", "retrying", "undo_stuck", "undoing")]
    lines += [f"error: {error}" for step in failed[-1:] if (error := _last_error(step))]
    return list(dict.fromkeys(lines))


def _last_error(step: Step) -> str:
    undo: Sequence[Attempt] = step.undo.attempts if step.undo is not None else ()
    for attempt in (*reversed(undo), *reversed(step.attempts)):
        if attempt.error or attempt.error_type:
            return _error(attempt.error_type, attempt.error)
    return _error(step.error_type, step.error)


def _error(*parts: str | None) -> str:
    """In one line: lines are broken where the picture has room."""
    return " ".join(": ".join(part for part in parts if part).split())


def _title(run: RunStatus) -> tuple[str, ...]:
    about: str = run.status
    if run.reason or run.stalled:
        about += f": {', '.join(run.stalled) or run.reason}"
    if run.ended_at is not None:
        about += f", after {_duration((run.ended_at - run.started_at).total_seconds())}"
    waiting = [f"waits for {one.kind} {one.ref}" for one in run.waiting_for if one.kind != "timer"]
    return (run.run, about, *waiting)


def _words(state: str) -> str:
    return state.replace("_", " ")


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
