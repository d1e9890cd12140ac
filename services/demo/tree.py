"""One run drawn as a tree: each event, the steps that it caused, and what they told in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rich.text import Text
from rich.tree import Tree

from pavane import RunStatus, Step

MARKS = {
    "committed": ("✔", "green"),
    "undone": ("↩", "yellow"),
    "dead": ("✘", "red"),
    "undo_stuck": ("✘", "red"),
}


def tree_of(run: RunStatus, steps: Sequence[Step], order_status: str) -> Tree:
    """The run's steps below the events that caused them; pavane's own events last."""
    tree = Tree(Text.assemble((order_status, "bold"), f": the run of order {run.run_id} is {run.status}"))
    caused: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        if step.event is not None:
            caused[step.event.id].append(step)
    told = {event_id for step in steps for event_id in step.emitted}
    for event_id, first in caused.items():
        if event_id not in told and first[0].event is not None:
            branch = tree.add(Text(first[0].event.name, style="cyan"))
            _grow(branch, event_id, caused)
    return tree


def _grow(branch: Tree, event_id: str, caused: dict[str, list[Step]]) -> None:
    for step in caused.get(event_id, ()):
        leaf = branch.add(_label(step))
        if step.result is not None:
            _grow(leaf, step.result.id, caused)


def _label(step: Step) -> Text:
    mark, style = MARKS.get(step.status, ("·", "dim"))
    label = Text.assemble((mark, style), " ", step.worker)
    if step.result is not None:
        label.append(" → ").append(step.result.name, style="cyan")
    if step.duration_s is not None:
        label.append(f"  {step.duration_s * 1000:.0f} ms", style="dim")
    if step.attempt > 1:
        label.append(f"  {step.attempt} attempts", style="dim")
    if step.status != "committed":
        label.append(f"  {step.status}", style=style)
    return label
