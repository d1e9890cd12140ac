"""Mermaid and DOT: what they say, and that no name or reason can say more than it is."""

from __future__ import annotations

import re

import pytest

from pavane.core.drawing.dot import dot
from pavane.core.drawing.graph import Graph, Link, Node
from pavane.core.drawing.mermaid import label_lines, mermaid, short_names
from pavane.core.drawing.text import harmless
from tests.unit.core.drawing_samples import hostile, order_flow

GRAPHS = {"the order flow": order_flow(), "hostile": hostile()}

MERMAID_NODE = re.compile(r'    ([ew]_\w+)(?:\(\["(?P<event>[^"]*)"\]\)|\["(?P<worker>[^"]*)"\])')
MERMAID_LINK = re.compile(r"    ([ew]_\w+) (?:-->|==>|-\.->|-\.-x) ([ew]_\w+)")
MERMAID_LOOK = re.compile(r"    classDef \w+ [\w:#,. -]+|    class [ew]_\w+(?:,[ew]_\w+)* \w+")
MERMAID_TEXT = re.compile(r"(?:[A-Za-z0-9 _.,:()/+-]|#\d+;|<br/>)*")
DOT_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def mermaid_lines(label: str) -> list[str]:
    """A label as Mermaid reads it."""
    assert MERMAID_TEXT.fullmatch(label)
    return [re.sub(r"#(\d+);", lambda found: chr(int(found[1])), line) for line in label.split("<br/>")]


def dot_lines(label: str) -> list[str]:
    """A label as Graphviz reads it: escapes, then references. Every line is ended by one of two escapes."""
    lines, line = [], ""
    for found in re.finditer(r"\\(.)|([^\\])", label):
        if found[1] in ("n", "l"):
            lines.append(line)
            line = ""
        else:
            assert found[1] in (None, "\\", '"'), "an escape that means something else to Graphviz"
            line += found[1] or found[2]
    assert not line
    return [re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), line) for line in lines]


@pytest.mark.parametrize("name", GRAPHS)
def test_mermaid_says_what_the_graph_says_and_nothing_else(name: str) -> None:
    graph = GRAPHS[name]
    text = mermaid(graph)
    assert text.isascii()
    first, *lines = text.splitlines()
    assert first == "flowchart TD"
    nodes = {found[1]: found for line in lines if (found := MERMAID_NODE.fullmatch(line))}
    links = [found.groups() for line in lines if (found := MERMAID_LINK.fullmatch(line))]
    comments = [line for line in lines if re.fullmatch(r"    %% [A-Za-z0-9 _.,:()/+?-]*", line)]
    looks = [line for line in lines if MERMAID_LOOK.fullmatch(line)]
    assert len(nodes) + len(links) + len(comments) + len(looks) == len(lines)
    assert len(comments) == len(graph.title)
    names = short_names(graph.nodes)
    for node in graph.nodes:
        found = nodes[names[node.id]]
        assert mermaid_lines(found[node.kind]) == label_lines(node)
    assert links == [(names[link.source], names[link.target]) for link in graph.links]


@pytest.mark.parametrize("name", GRAPHS)
def test_dot_says_what_the_graph_says_and_nothing_else(name: str) -> None:
    graph = GRAPHS[name]
    text = dot(graph)
    assert text.isascii()
    assert all(char == "\n" or char.isprintable() for char in text)
    labels = {
        found[1]: found[2]
        for found in re.finditer(r'^    ([ew]_\w+) \[label="((?:[^"\\]|\\.)*)"', text, re.M)
    }
    names = short_names(graph.nodes)
    for node in graph.nodes:
        assert dot_lines(labels[names[node.id]]) == label_lines(node)
    title = re.search(r'labeljust=l, fontname="monospace", label="((?:[^"\\]|\\.)*)"\];', text)
    assert title is not None
    assert dot_lines(title[1]) == [harmless(line) for line in graph.title]
    bare = DOT_STRING.sub("S", text).splitlines()
    statement = re.compile(
        r"digraph pavane \{|\}|    (graph|node) \[(\w+=\w+(, )?)+\];|    [ew]_\w+ \[(\w+=S(, )?)+\];"
        r"|    [ew]_\w+ -> [ew]_\w+( \[(\w+=S(, )?)+\])?;"
    )
    assert all(statement.fullmatch(line) for line in bare)
    assert sum(" -> " in line for line in bare) == len(graph.links)


def test_names_that_look_alike_stay_apart() -> None:
    nodes = [Node(kind="event", name=name) for name in ("a.b", "a_b", "A.b", "a.b_2", "")]
    assert len({name.lower() for name in short_names(nodes).values()}) == len(nodes)


def test_a_name_cannot_begin_a_list() -> None:
    text = mermaid(Graph(title=(), nodes=(Node(kind="worker", name="1. one", notes=("- two",)),), links=()))
    assert '["1#46; one<br/>#45; two"]' in text


@pytest.mark.parametrize(
    ("state", "in_mermaid", "in_dot"),
    [
        ("", "-->", ";"),
        ("taken", "==>", "penwidth"),
        ("refused", "-.-x", "dotted"),
        ("idle", "-->", "#cbd2d9"),
    ],
)
def test_what_became_of_a_link_is_seen(state: str, in_mermaid: str, in_dot: str) -> None:
    nodes = (Node(kind="event", name="a"), Node(kind="worker", name="s.w"))
    link = Link(source="event:a", target="worker:s.w", kind="hears", state=state)  # type: ignore[arg-type]
    graph = Graph(title=(), nodes=nodes, links=(link,))
    assert f"    e_a {in_mermaid} w_s_w\n" in mermaid(graph)
    [line] = [line for line in dot(graph).splitlines() if "->" in line]
    assert in_dot in line


def test_what_is_sent_when_attempts_are_used_up_is_dashed() -> None:
    nodes = (Node(kind="worker", name="s.w"), Node(kind="event", name="a"))
    link = Link(source="worker:s.w", target="event:a", kind="answers")
    graph = Graph(title=(), nodes=nodes, links=(link,))
    assert "w_s_w -.-> e_a" in mermaid(graph)
    assert 'w_s_w -> e_a [style="dashed"];' in dot(graph)
