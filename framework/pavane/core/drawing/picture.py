"""A graph laid out: every box with its place and every label with its place in it.

What the layout cannot know is decided here: how large a box has to be for what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pavane.core.drawing.graph import Graph, Link, Node
from pavane.core.drawing.layout import Rect, Route, Size, lay_out
from pavane.core.drawing.text import text_width, wrapped

MARGIN = 24.0
PADDING_X, PADDING_Y = 12.0, 8.0
TITLE_SIZE, NAME_SIZE, SMALL_SIZE = 16.0, 13.0, 11.0
LINE = 1.35
"""The height of a line, in font sizes."""

ASCENT = 1.0
"""From a line's upper edge to the line that letters stand on, in font sizes."""

NAME_CELLS, NOTE_CELLS, TITLE_CELLS = 34, 40, 100
"""Where lines are broken."""

NAME_LINES, NOTE_LINES = 8, 3
"""What a name or a note from data may take of the picture; every name that pavane lets through fits."""

LEAST_WIDTH = 70.0


@dataclass(frozen=True, slots=True)
class Label:
    """One line of text. `rect` is what it takes at most; the letters stand on `baseline`, from `rect.x` on."""

    text: str
    kind: str
    size: float
    rect: Rect

    @property
    def baseline(self) -> float:
        return round(self.rect.y + ASCENT * self.size, 1)


@dataclass(frozen=True, slots=True)
class Box:
    node: Node
    rect: Rect
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Line:
    link: Link
    route: Route


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything to draw, from (0, 0) to (`width`, `height`)."""

    width: float
    height: float
    title: tuple[Label, ...]
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


_Text = tuple[str, str, float]
"""What a line says, its kind (`title`, `about`, `service`, `name`, `note`, `became`), its font size."""


def picture_of(graph: Graph) -> Picture:
    """Lay a graph out, with its title above it."""
    texts = {node.id: _texts(node) for node in graph.nodes}
    title = _title(graph.title)
    head = _size(title)
    above = MARGIN + (head.height + MARGIN if title else 0.0)
    links = [(link.source, link.target) for link in graph.links]
    starts = [node.id for node in graph.nodes if "start" in node.roles]
    layout = lay_out({name: _box_size(lines) for name, lines in texts.items()}, links, first=starts)
    boxes = [
        Box(node, rect, _labels(texts[node.id], rect, PADDING_Y))
        for node in graph.nodes
        for rect in [layout.boxes[node.id].moved(MARGIN, above)]
    ]
    lines = [
        Line(link, route.moved(MARGIN, above)) for link, route in zip(graph.links, layout.routes, strict=True)
    ]
    width = max(layout.width, head.width) + 2 * MARGIN
    return Picture(
        round(width, 1),
        round(above + layout.height + MARGIN, 1),
        _labels(title, Rect(MARGIN, MARGIN, head.width, head.height), 0.0, centred=False),
        tuple(boxes),
        tuple(lines),
    )


def _title(lines: Sequence[str]) -> list[_Text]:
    kinds = [("title", TITLE_SIZE)] + [("about", SMALL_SIZE)] * len(lines)
    return [
        (part, kind, size)
        for line, (kind, size) in zip(lines, kinds, strict=False)
        for part in wrapped(line, TITLE_CELLS, lines=NOTE_LINES)
    ]


def _texts(node: Node) -> list[_Text]:
    """The service stands above a worker's own name, so that boxes are narrow and names are seen."""
    service, dot, name = node.name.partition(".") if node.kind == "worker" else ("", "", node.name)
    if not dot:
        service, name = "", node.name
    return [
        *((part, "service", SMALL_SIZE) for part in wrapped(service, NAME_CELLS, lines=NAME_LINES)),
        *((part, "name", NAME_SIZE) for part in wrapped(name, NAME_CELLS, lines=NAME_LINES)),
        *(
            (part, "note", SMALL_SIZE)
            for note in node.notes
            for part in wrapped(note, NOTE_CELLS, lines=NOTE_LINES)
        ),
        *(
            (part, "became", SMALL_SIZE)
            for line in node.became
            for part in wrapped(line, NOTE_CELLS, lines=NOTE_LINES)
        ),
    ]


def _size(lines: Sequence[_Text]) -> Size:
    width = max((text_width(text, size) for text, _, size in lines), default=0.0)
    return Size(width, sum(size * LINE for _, _, size in lines))


def _box_size(lines: Sequence[_Text]) -> Size:
    inner = _size(lines)
    width = max(inner.width + 2 * PADDING_X, LEAST_WIDTH)
    return Size(round(width, 1), round(inner.height + 2 * PADDING_Y, 1))


def _labels(lines: Sequence[_Text], box: Rect, above: float, *, centred: bool = True) -> tuple[Label, ...]:
    """The lines below each other."""
    found: list[Label] = []
    y = box.y + above
    for text, kind, size in lines:
        width = text_width(text, size)
        x = box.x + (box.width - width) / 2 if centred else box.x
        found.append(Label(text, kind, size, Rect(round(x, 1), round(y, 1), round(width, 1), size * LINE)))
        y += size * LINE
    return tuple(found)
