"""The picture of a graph, computed: no two labels overlap, none leaves its box, all is inside the picture."""

from __future__ import annotations

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest

from pavane.core.drawing.definitions import graph_of
from pavane.core.drawing.graph import Graph
from pavane.core.drawing.layout import Layout, Rect
from pavane.core.drawing.picture import Picture, picture_of
from pavane.core.drawing.svg import svg
from pavane.core.drawing.text import cells, harmless, text_width, wrapped
from tests.unit.core.drawing_samples import HOSTILE, definitions_of, generated, hostile, order_flow
from tests.unit.core.test_layout import check_route, overlap

SVG = "{http://www.w3.org/2000/svg}"


def graphs() -> dict[str, Graph]:
    many = {f"60 workers, seed {seed}": graph_of(definitions_of(generated(60, seed))) for seed in range(3)}
    return {
        "the order flow": order_flow(),
        **many,
        "a title wider than what it stands above": Graph(title=("x" * 99,), nodes=(), links=()),
        "hostile": hostile(),
        "nothing": Graph(title=(), nodes=(), links=()),
    }


GRAPHS = graphs()
PICTURES = {name: picture_of(graph) for name, graph in GRAPHS.items()}


def inside(inner: Rect, outer: Rect) -> bool:
    return (
        outer.x <= inner.x
        and inner.right <= outer.right + 0.1
        and outer.y <= inner.y
        and inner.bottom <= outer.bottom + 0.1
    )


def labels_of(picture: Picture) -> list[Rect]:
    return [label.rect for label in (*picture.title, *(one for box in picture.boxes for one in box.labels))]


@pytest.mark.parametrize("name", GRAPHS)
def test_no_two_labels_overlap_and_no_label_leaves_its_box(name: str) -> None:
    picture = PICTURES[name]
    whole = Rect(0, 0, picture.width, picture.height)
    for box in picture.boxes:
        assert box.labels
        assert all(inside(label.rect, box.rect) for label in box.labels)
        assert inside(box.rect, whole)
        for label in box.labels:
            assert label.rect.width >= text_width(label.text, label.size) - 0.1
    assert all(inside(label.rect, whole) for label in picture.title)
    assert not any(overlap(one, other) for one, other in combinations((box.rect for box in picture.boxes), 2))
    # By a hair's breadth lines may share an edge: their places are rounded to a tenth of a pixel.
    shrunk = [Rect(r.x + 0.1, r.y + 0.1, r.width - 0.2, r.height - 0.2) for r in labels_of(picture)]
    assert not any(overlap(one, other) for one, other in combinations(shrunk, 2))


@pytest.mark.parametrize("name", GRAPHS)
def test_no_line_passes_through_a_box_that_it_does_not_join(name: str) -> None:
    picture = PICTURES[name]
    boxes = {box.node.id: box.rect for box in picture.boxes}
    layout = Layout(picture.width, picture.height, boxes, ())
    for line in picture.lines:
        check_route(line.route, layout)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_svg_has_every_label_where_the_picture_has_it(name: str) -> None:
    """Read back from the document, by the same metric: what a browser is told is what was computed."""
    picture = PICTURES[name]
    root = ElementTree.fromstring(svg(GRAPHS[name]))
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert (width, height) == (picture.width, picture.height)
    frames = root.findall(f"{SVG}svg")
    assert len(frames) == len(picture.boxes)
    for frame, box in zip(frames, picture.boxes, strict=True):
        size = float(frame.attrib["width"]), float(frame.attrib["height"])
        texts = frame.findall(f"{SVG}text")
        assert [text.text or "" for text in texts] == [label.text for label in box.labels]
        for text in texts:
            half = text_width(text.text or "", float(text.attrib["font-size"])) / 2
            middle, baseline = float(text.attrib["x"]), float(text.attrib["y"])
            assert middle - half >= 0
            assert middle + half <= size[0]
            assert baseline - float(text.attrib["font-size"]) * 0.8 >= 0
            assert baseline + float(text.attrib["font-size"]) * 0.3 <= size[1]
    assert len(root.findall(f"{SVG}path")) == len(picture.lines)


def test_no_text_becomes_markup_in_svg() -> None:
    text = svg(hostile())
    assert text.isascii()
    assert all(char == "\n" or char.isprintable() for char in text)
    root = ElementTree.fromstring(text)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "title", "style", "defs", "marker", "path", "rect", "text"}
    allowed = re.compile(
        r"class|d|fill|font-size|height|id|marker.*|orient|ref[XY]|role|rx|text-anchor|viewBox|width|x|y"
    )
    assert all(allowed.fullmatch(name) for element in root.iter() for name in element.attrib)
    assert not any("href" in name or name[:2] == "on" for element in root.iter() for name in element.attrib)


def test_the_same_graph_gives_the_same_document() -> None:
    assert svg(order_flow()) == svg(order_flow())


def test_an_arrow_has_the_colour_of_its_line() -> None:
    markers = set(re.findall(r'<marker id="(\w+)"', svg(order_flow())))
    assert set(re.findall(r"url\(#(\w+)\)", svg(order_flow()))) == markers


@pytest.mark.parametrize(
    ("text", "limit", "lines", "expected"),
    [
        ("short", 10, None, ["short"]),
        ("payments.charge_payment", 16, None, ["payments.charge_", "payment"]),
        ("x" * 25, 10, None, ["x" * 10, "x" * 10, "x" * 5]),
        ("one two three four", 9, 2, ["one two", "three..."]),
        ("漢字漢字", 4, None, ["漢字", "漢字"]),
        ("a\nb", 10, None, ["a\\nb"]),
        ("", 10, None, []),
    ],
)
def test_lines_are_broken_where_words_allow_it(
    text: str, limit: int, lines: int | None, expected: list[str]
) -> None:
    assert wrapped(text, limit, lines=lines) == expected


def test_no_line_is_wider_than_its_limit() -> None:
    for text in HOSTILE:
        for limit in (8, 20, 40):
            assert all(cells(line) <= limit for line in wrapped(text, limit, lines=3))


def test_what_cannot_be_seen_or_turns_the_writing_is_escaped() -> None:
    assert harmless("a\x1b\u202e\ud800\u2028ä漢") == r"a\x1b\u202e\ud800\u2028ä漢"
