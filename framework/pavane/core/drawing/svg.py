"""A graph as SVG: one file that needs nothing else, for a browser, a page or a printer.

The document is built as a tree, so no text can become markup, and it is ASCII with a reference for any other
character. It holds no script, no link and nothing to load. Each box is a picture of its own, which cuts off what
an unknown font might draw beyond it.
"""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pavane.core.drawing.graph import Graph, Node
from pavane.core.drawing.layout import Rect, Route
from pavane.core.drawing.picture import Box, Label, Line, Picture, picture_of
from pavane.core.drawing.text import harmless

STYLE: Final = """
text { font-family: "DejaVu Sans Mono", Menlo, "Liberation Mono", Consolas, monospace; fill: #1f2933; }
.title, .name, .became { font-weight: bold; }
.service, .note, .about { fill: #52606d; }
.box { fill: #ffffff; stroke: #52606d; stroke-width: 1.5; }
.event .box { fill: #e8f1fb; stroke: #2b6cb0; }
.start .box { stroke-width: 3; }
.completes .box { fill: #e3f6e8; stroke: #2f855a; stroke-width: 3; }
.fails .box { fill: #fdeaea; stroke: #c53030; stroke-width: 3; }
.outside .box, .framework .box { stroke-dasharray: 6 4; }
.closing .box { stroke: #9aa5b1; stroke-width: 1; }
.event.closing .box { fill: #f5f7fa; }
.committed .box { fill: #e3f6e8; stroke: #2f855a; }
.running .box, .waiting .box { fill: #e0f2fe; stroke: #0369a1; }
.retrying .box, .undoing .box { fill: #fef3c7; stroke: #b45309; }
.undone .box { fill: #fef3c7; stroke: #b45309; stroke-dasharray: 6 4; }
.dead .box, .undo_stuck .box { fill: #fbd5d5; stroke: #c53030; stroke-width: 3; }
.refused .box, .skipped .box { fill: #e4e7eb; stroke: #7b8794; }
.idle .box { fill: #fafbfc; stroke: #cbd2d9; stroke-width: 1; }
.idle text { fill: #7b8794; }
.line { fill: none; stroke: #52606d; stroke-width: 1.4; marker-end: url(#plain); }
.line.answers { stroke-dasharray: 6 4; }
.line.idle { stroke: #cbd2d9; marker-end: url(#idle); }
.line.taken { stroke: #1f2933; stroke-width: 2.4; marker-end: url(#taken); }
.line.refused { stroke: #c53030; stroke-width: 2.4; stroke-dasharray: 2 4; marker-end: url(#refused); }
"""

ARROWS: Final = {"plain": "#52606d", "idle": "#cbd2d9", "taken": "#1f2933", "refused": "#c53030"}
"""The head of each kind of line, in the line's colour."""

SIDE: Final = 4.0
"""How far the second line at a join's sides is from the first."""


def svg(graph: Graph) -> str:
    """The document, in ASCII, with a line break at its end."""
    picture = picture_of(graph)
    root = _root(picture, harmless(graph.title[0]) if graph.title else "pavane")
    for line in sorted(picture.lines, key=lambda line: line.link.state != "idle"):
        _draw_line(root, line)
    for label in picture.title:
        _draw_label(root, label, 0.0, 0.0)
    for box in picture.boxes:
        _draw_box(root, box)
    indent(root, " ")
    written: bytes = tostring(root, encoding="us-ascii", xml_declaration=False)
    return written.decode("ascii") + "\n"


def _root(picture: Picture, title: str) -> Element:
    width, height = _number(picture.width), _number(picture.height)
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": width,
            "height": height,
            "role": "img",
        },
    )
    SubElement(root, "title").text = title
    SubElement(root, "style").text = STYLE
    definitions = SubElement(root, "defs")
    for name, colour in ARROWS.items():
        marker = SubElement(
            definitions,
            "marker",
            {
                "id": name,
                "viewBox": "0 0 10 10",
                "refX": "9.5",
                "refY": "5",
                "markerWidth": "9",
                "markerHeight": "9",
                "markerUnits": "userSpaceOnUse",
                "orient": "auto",
            },
        )
        SubElement(marker, "path", {"d": "M0 0.5 L10 5 L0 9.5 z", "fill": colour})
    SubElement(root, "rect", {"width": width, "height": height, "fill": "#ffffff"})
    return root


def _draw_box(root: Element, box: Box) -> None:
    rect = box.rect
    place = {"x": _number(rect.x), "y": _number(rect.y)}
    size = {"width": _number(rect.width), "height": _number(rect.height)}
    frame = SubElement(root, "svg", {**place, **size, "class": _class(box.node)})
    SubElement(frame, "title").text = harmless(
        ": ".join(part for part in (box.node.name, box.node.about) if part)
    )
    # Inside its frame by as much as its border is thick, so that nothing of it is cut off.
    inner = Rect(1.5, 1.5, rect.width - 3, rect.height - 3)
    round_corners = min(16.0, inner.height / 2) if box.node.kind == "event" else 3.0
    SubElement(
        frame,
        "rect",
        {
            "class": "box",
            "x": _number(inner.x),
            "y": _number(inner.y),
            "width": _number(inner.width),
            "height": _number(inner.height),
            "rx": _number(round_corners),
        },
    )
    if "join" in box.node.roles:
        _draw_sides(frame, inner)
    for label in box.labels:
        _draw_label(frame, label, rect.x, rect.y)


def _draw_sides(frame: Element, inner: Rect) -> None:
    """A second line at both sides, as a join has it, where no text comes."""
    for x in (inner.x + SIDE, inner.x + inner.width - SIDE):
        top, foot = _number(inner.y), _number(inner.y + inner.height)
        SubElement(frame, "path", {"class": "box", "d": f"M{_number(x)} {top} V{foot}"})


def _class(node: Node) -> str:
    return " ".join((node.kind, *node.roles, *([node.state] if node.state else ())))


def _draw_label(parent: Element, label: Label, left: float, top: float) -> None:
    """Set from the middle, so that a font narrower than allowed for leaves as much on both sides."""
    is_head = label.kind in ("title", "about")
    x = label.rect.x if is_head else label.rect.x + label.rect.width / 2
    text = SubElement(
        parent,
        "text",
        {
            "class": label.kind,
            "x": _number(x - left),
            "y": _number(label.baseline - top),
            "font-size": _number(label.size),
            "text-anchor": "start" if is_head else "middle",
        },
    )
    text.text = label.text


def _draw_line(root: Element, line: Line) -> None:
    look = " ".join(part for part in ("line", line.link.kind, line.link.state) if part)
    SubElement(root, "path", {"class": look, "d": path_of(line.route)})


def path_of(route: Route) -> str:
    """The route as SVG's path data: upright pieces straight, the others curves that begin and end upright."""
    (x, y), *rest = route.points
    parts = [f"M{_number(x)} {_number(y)}"]
    for to_x, to_y in rest:
        if to_x == x:
            parts.append(f"V{_number(to_y)}")
        else:
            middle = _number((y + to_y) / 2)
            parts.append(f"C{_number(x)} {middle} {_number(to_x)} {middle} {_number(to_x)} {_number(to_y)}")
        x, y = to_x, to_y
    return " ".join(parts)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
