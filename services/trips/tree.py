"""A trip's run drawn as a tree: each event, the steps that it caused, and what became of them."""

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


def tree_of(run: RunStatus, steps: Sequence[Step]) -> Tree:
    """Steps below the events that caused them; those of the three joined bookings below a line of their own."""
    tree = Tree(Text.assemble("trip ", (run.run_id, "bold"), f" is {run.status}: {run.reason}"))
    below: dict[str, list[Step]] = defaultdict(list)
    emitted = {event_id for step in steps for event_id in step.emitted}
    for step in steps:
        if step.event is not None:
            below[step.event.id].append(step)

    def grow(branch: Tree, event_id: str) -> None:
        for step in below[event_id]:
            leaf = branch.add(label(step))
            for caused in step.emitted:
                if caused in below:
                    grow(leaf, caused)

    for first in [rows[0] for event_id, rows in below.items() if event_id not in emitted]:
        if first.event is not None:
            grow(tree.add(Text(first.event.name, style="cyan")), first.event.id)
    return tree


def label(step: Step) -> Text:
    """`✔ trips.book_car → car.booked  51 ms`"""
    mark, style = MARKS.get(step.status, ("·", "dim"))
    line = Text.assemble((mark, style), " ", step.worker)
    if step.result is not None:
        line.append(" → ").append(step.result.name, style="cyan")
    if step.duration_s is not None:
        line.append(f"  {step.duration_s * 1000:.0f} ms", style="dim")
    if step.status != "committed":
        line.append(f"  {step.status}", style=style)
    return line
