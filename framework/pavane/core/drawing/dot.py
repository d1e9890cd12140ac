"""A graph as DOT, for Graphviz: `pavane graph shop:app --format dot | dot -Tpdf`.

Names and labels are quoted strings, never HTML. In them a backslash and a quotation mark are escaped, and an
ampersand and everything outside of ASCII are given as references, which is how Graphviz reads labels.
"""

from __future__ import annotations

from typing import Final

from pavane.core.drawing.graph import Graph, Link, Node
from pavane.core.drawing.mermaid import label_lines, short_names
from pavane.core.drawing.text import harmless

LOOKS: Final = {
    "start": {"penwidth": "3"},
    "completes": {"fillcolor": "#e3f6e8", "color": "#2f855a", "penwidth": "3"},
    "fails": {"fillcolor": "#fdeaea", "color": "#c53030", "penwidth": "3"},
    "outside": {"style": "filled,dashed"},
    "framework": {"style": "filled,dashed"},
    "closing": {"color": "#9aa5b1"},
    "join": {"peripheries": "2"},
    "idle": {"fillcolor": "#fafbfc", "color": "#cbd2d9", "fontcolor": "#7b8794", "penwidth": "1"},
    "came": {},
    "waiting": {"fillcolor": "#e0f2fe", "color": "#0369a1"},
    "running": {"fillcolor": "#e0f2fe", "color": "#0369a1"},
    "retrying": {"fillcolor": "#fef3c7", "color": "#b45309"},
    "committed": {"fillcolor": "#e3f6e8", "color": "#2f855a"},
    "dead": {"fillcolor": "#fbd5d5", "color": "#c53030", "penwidth": "3"},
    "skipped": {"fillcolor": "#e4e7eb", "color": "#7b8794"},
    "refused": {"fillcolor": "#e4e7eb", "color": "#7b8794"},
    "undoing": {"fillcolor": "#fef3c7", "color": "#b45309"},
    "undone": {"fillcolor": "#fef3c7", "color": "#b45309", "style": "filled,dashed"},
    "undo_stuck": {"fillcolor": "#fbd5d5", "color": "#c53030", "penwidth": "3"},
}
KINDS: Final = {
    "event": {"shape": "box", "style": "filled,rounded", "fillcolor": "#e8f1fb", "color": "#2b6cb0"},
    "worker": {"shape": "box", "style": "filled", "fillcolor": "#ffffff", "color": "#52606d"},
}
LINKS: Final = {
    "": {},
    "idle": {"color": "#cbd2d9"},
    "taken": {"penwidth": "2.4"},
    "refused": {"color": "#c53030", "style": "dotted", "penwidth": "2.4"},
}


def dot(graph: Graph) -> str:
    """The graph, in ASCII, with a line break at its end."""
    names = short_names(graph.nodes)
    title = [harmless(line) for line in graph.title]
    lines = [
        "digraph pavane {",
        f'    graph [rankdir=TB, labelloc=t, labeljust=l, fontname="monospace", label={_label(title, "l")}];',
        '    node [fontname="monospace", fontsize=11];',
        *(f"    {names[node.id]} [{_node(node)}];" for node in graph.nodes),
        *(f"    {names[link.source]} -> {names[link.target]}{_link(link)};" for link in graph.links),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node) -> str:
    looks: dict[str, str] = dict(KINDS[node.kind])
    for look in (*node.roles, *([node.state] if node.state else ())):
        looks |= LOOKS[look]
    if node.kind == "event" and "dashed" in looks["style"]:
        looks["style"] = "filled,rounded,dashed"
    label = f"label={_label(label_lines(node))}"
    return ", ".join([label, *(f'{name}="{value}"' for name, value in looks.items())])


def _link(link: Link) -> str:
    looks: dict[str, str] = {"style": "dashed"} if link.kind == "answers" else {}
    looks |= LINKS[link.state]
    listed = ", ".join(f'{name}="{value}"' for name, value in looks.items())
    return f" [{listed}]" if listed else ""


def _label(lines: list[str], end: str = "n") -> str:
    """Every line with its end: `n` centres it, `l` sets it to the left."""
    return '"' + "".join(f"{_quoted(line)}\\{end}" for line in lines) + '"'


def _quoted(text: str) -> str:
    references = "".join(f"&#{ord(char)};" if char == "&" or char > "~" else char for char in text)
    return references.replace("\\", "\\\\").replace('"', '\\"')
