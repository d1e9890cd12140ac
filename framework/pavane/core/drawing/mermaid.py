"""A graph as Mermaid, for pages that draw it themselves: events are rounded, workers square, joins with double sides.

Labels are quoted, and every character in them that is not plain is given by its number, as Mermaid reads it
(`#34;`): it cannot end the quotes, become markup or HTML, or start a directive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pavane.core.drawing.graph import Graph, Link, Node
from pavane.core.drawing.picture import NOTE_CELLS, NOTE_LINES
from pavane.core.drawing.text import harmless, wrapped

CLASSES: Final = {
    "start": "stroke-width:3px",
    "completes": "fill:#e3f6e8,stroke:#2f855a,stroke-width:3px,color:#1f2933",
    "fails": "fill:#fdeaea,stroke:#c53030,stroke-width:3px,color:#1f2933",
    "outside": "stroke-dasharray:6 4",
    "framework": "stroke-dasharray:6 4",
    "closing": "fill:#f5f7fa,stroke:#9aa5b1,color:#1f2933",
    "join": "stroke-width:2px",
    "idle": "fill:#fafbfc,stroke:#cbd2d9,stroke-width:1px,color:#7b8794",
    "came": "fill:#e8f1fb,stroke:#2b6cb0,color:#1f2933",
    "waiting": "fill:#e0f2fe,stroke:#0369a1,color:#1f2933",
    "running": "fill:#e0f2fe,stroke:#0369a1,color:#1f2933",
    "retrying": "fill:#fef3c7,stroke:#b45309,color:#1f2933",
    "committed": "fill:#e3f6e8,stroke:#2f855a,color:#1f2933",
    "dead": "fill:#fbd5d5,stroke:#c53030,stroke-width:3px,color:#1f2933",
    "skipped": "fill:#e4e7eb,stroke:#7b8794,color:#1f2933",
    "refused": "fill:#e4e7eb,stroke:#7b8794,color:#1f2933",
    "undoing": "fill:#fef3c7,stroke:#b45309,color:#1f2933",
    "undone": "fill:#fef3c7,stroke:#b45309,stroke-dasharray:6 4,color:#1f2933",
    "undo_stuck": "fill:#fbd5d5,stroke:#c53030,stroke-width:3px,color:#1f2933",
}
ARROWS: Final = {"": "-->", "idle": "-->", "taken": "==>", "refused": "-.-x"}

LONGEST_NAME: Final = 200
"""In characters; every name that pavane lets through is shorter."""

_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 _.,:()/+-]|[.+-](?= |$)")
"""The second half: `1. ` or `- ` would begin a list."""


def mermaid(graph: Graph) -> str:
    """The diagram, in ASCII, with a line break at its end."""
    names = short_names(graph.nodes)
    lines = ["flowchart TD"]
    # The one free text outside quotes: a comment ends with its line, and only plain characters are left in it.
    lines += [f"    %% {_NOT_PLAIN.sub('?', harmless(line))}" for line in graph.title]
    lines += [f"    {names[node.id]}{_shape(node)}" for node in graph.nodes]
    lines += [f"    {names[link.source]} {_arrow(link)} {names[link.target]}" for link in graph.links]
    lines += _classes(graph, names)
    return "\n".join(lines) + "\n"


def short_names(nodes: Iterable[Node]) -> dict[str, str]:
    """A name for each node, by its id, that says what it is and is a plain word of no other meaning."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for node in nodes:
        word = f"{node.kind[0]}_{re.sub(r'[^A-Za-z0-9]+', '_', node.name)[:60]}"
        name, number = word, 2
        while name.lower() in taken:
            name, number = f"{word}_{number}", number + 1
        taken.add(name.lower())
        given[node.id] = name
    return given


def label_lines(node: Node) -> list[str]:
    """What a box says, for formats that lay out by themselves."""
    notes = [
        part for note in (*node.notes, *node.became) for part in wrapped(note, NOTE_CELLS, lines=NOTE_LINES)
    ]
    return [*(wrapped(node.name, LONGEST_NAME, lines=1) or [""]), *notes]


def _shape(node: Node) -> str:
    label = "<br/>".join(_plain(line) for line in label_lines(node))
    if node.kind == "event":
        return f'(["{label}"])'
    return f'[["{label}"]]' if "join" in node.roles else f'["{label}"]'


def _plain(text: str) -> str:
    return _NOT_PLAIN.sub(lambda found: f"#{ord(found[0])};", text)


def _arrow(link: Link) -> str:
    if link.kind == "answers" and link.state in ("", "idle"):
        return "-.->"
    return ARROWS[link.state]


def _classes(graph: Graph, names: dict[str, str]) -> list[str]:
    """The looks that are used, and who has them; the state of a run comes last and wins."""
    having: dict[str, list[str]] = {look: [] for look in CLASSES}
    for node in graph.nodes:
        for look in (*node.roles, *([node.state] if node.state else ())):
            having[look].append(names[node.id])
    used = {look: nodes for look, nodes in having.items() if nodes}
    return [
        *(f"    classDef {look} {CLASSES[look]}" for look in used),
        *(f"    class {','.join(nodes)} {look}" for look, nodes in used.items()),
    ]
