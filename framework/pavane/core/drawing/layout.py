"""Where everything stands in a picture of boxes and links: the one place that decides it.

`lay_out` knows sizes and links and nothing else, so every picture of pavane, on a page or in a file, is laid out
by it: causes above effects (`layers`), few crossings (`crossings`), straight where it can be (`positions`). Parts
that no link joins are laid out apart and put side by side. It is a pure function and the same graph gives the same
picture, to the pixel.

What holds for every layout, and is tested: boxes neither touch nor leave the picture, and a link passes through no
box but the two it joins. A route is a list of points; between two of them the link goes straight down or up if they
stand below each other, and else along a curve that stays between them and begins and ends upright.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pavane.core.drawing.crossings import put_in_order
from pavane.core.drawing.layers import Chain, Layers, layers
from pavane.core.drawing.positions import GAP, centres

ROW_GAP, WIDER, WIDEST = 36.0, 0.08, 84.0
"""Between two rows, where the links find their way: the farther to the side one goes there, the more room, up to
`WIDEST`."""

PART_GAP = 3 * GAP
ASPECT = 1.4
"""How much wider than high a picture of many parts may become."""

BESIDE = 12.0
"""How far from the middle of a box a link ends that points up, so that it is not taken for one that points down."""

BEND = 2.0
"""The width that a bend takes."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a box, in pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Rect:
    """A place in a picture; x and y are of its left upper corner, y grows downwards."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def moved(self, x: float, y: float) -> Rect:
        return Rect(round(self.x + x, 1), round(self.y + y, 1), self.width, self.height)


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a link, from its source to its target."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]

    def moved(self, x: float, y: float) -> Route:
        points = tuple((round(a + x, 1), round(b + y, 1)) for a, b in self.points)
        return Route(self.source, self.target, points)


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture's size, its boxes, and its routes in the order of the links."""

    width: float
    height: float
    boxes: Mapping[str, Rect]
    routes: tuple[Route, ...]


def lay_out(
    sizes: Mapping[str, Size], links: Sequence[tuple[str, str]], *, first: Collection[str] = ()
) -> Layout:
    """Lay out boxes and the links between them.

    Args:
        sizes: of each box; the order decides where nothing else does.
        links: from cause to effect; a link from a box to itself cannot be drawn.
        first: boxes where it all begins: they stand as high as they can, and their part of the picture comes first.

    Raises:
        ValueError: such a link, or one whose box has no size.
    """
    for source, target in links:
        if source == target or source not in sizes or target not in sizes:
            raise ValueError(f"no link can be drawn from {source!a} to {target!a}")
    parts = [
        _lay_out_part({name: sizes[name] for name in part}, links, first)
        for part in sorted(_parts(sizes, links), key=lambda part: _first_then_large(part, first))
    ]
    places = _side_by_side([Size(part.width, part.height) for part in parts])
    boxes: dict[str, Rect] = {}
    routes: dict[tuple[str, str], list[Route]] = {}
    for part, (x, y) in zip(parts, places, strict=True):
        boxes |= {name: rect.moved(x, y) for name, rect in part.boxes.items()}
        for route in part.routes:
            routes.setdefault((route.source, route.target), []).append(route.moved(x, y))
    return Layout(
        max((x + part.width for part, (x, _) in zip(parts, places, strict=True)), default=0.0),
        max((y + part.height for part, (_, y) in zip(parts, places, strict=True)), default=0.0),
        {name: boxes[name] for name in sizes},
        tuple(routes[link].pop(0) for link in links),
    )


def _parts(sizes: Mapping[str, Size], links: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The boxes that links join, each part in the given order."""
    beside: dict[str, list[str]] = {name: [] for name in sizes}
    for source, target in links:
        beside[source].append(target)
        beside[target].append(source)
    part_of: dict[str, int] = {}
    for part, first in enumerate(sizes):
        ahead = [] if first in part_of else [first]
        while ahead:
            name = ahead.pop()
            if name not in part_of:
                part_of[name] = part
                ahead += beside[name]
    parts: dict[int, list[str]] = {}
    for name in sizes:
        parts.setdefault(part_of[name], []).append(name)
    return list(parts.values())


def _first_then_large(part: Sequence[str], first: Collection[str]) -> tuple[bool, int]:
    """The order of the parts."""
    return not any(name in first for name in part), -len(part)


def _side_by_side(sizes: Sequence[Size]) -> list[tuple[float, float]]:
    """Places in shelves, filled from left to right."""
    area = sum((size.width + PART_GAP) * (size.height + PART_GAP) for size in sizes)
    least = sum(size.width + PART_GAP for size in sizes[:2]) - PART_GAP
    # The first part has at least one beside it: a part that only watches should not be missed below.
    widest = max(least, (area * ASPECT) ** 0.5, *(size.width for size in sizes), 0.0)
    places: list[tuple[float, float]] = []
    x = y = shelf = 0.0
    for size in sizes:
        if x and x + size.width > widest:
            x, y, shelf = 0.0, y + shelf + PART_GAP, 0.0
        places.append((x, y))
        x += size.width + PART_GAP
        shelf = max(shelf, size.height)
    return places


def _lay_out_part(
    sizes: Mapping[str, Size], links: Sequence[tuple[str, str]], first: Collection[str]
) -> Layout:
    names = list(sizes)
    number = {name: index for index, name in enumerate(names)}
    inside = [(number[a], number[b]) for a, b in links if a in number]
    layered = layers(len(names), inside, {number[name] for name in first if name in number})
    rows = put_in_order(layered)
    bends = sum(map(len, rows)) - len(names)
    widths = [sizes[name].width for name in names] + [BEND] * bends
    heights = [sizes[name].height for name in names] + [0.0] * bends
    x = centres(layered, rows, widths)
    bands = _bands(rows, heights, _reaches(layered, rows, x))
    rects = [
        Rect(x[box] - widths[box] / 2, (top + bottom - heights[box]) / 2, widths[box], heights[box])
        for box in range(len(names))
        for top, bottom in [bands[box]]
    ]
    routes = tuple(_route(names, chain, x, bands, rects) for chain in layered.chains)
    return Layout(
        max((at + width / 2 for at, width in zip(x, widths, strict=True)), default=0.0),
        max((bottom for _, bottom in bands), default=0.0),
        dict(zip(names, rects, strict=True)),
        routes,
    )


def _reaches(layered: Layers, rows: Sequence[Sequence[int]], x: Sequence[float]) -> list[float]:
    """How far to the side the links below each row go."""
    row_of = {one: index for index, row in enumerate(rows) for one in row}
    reaches = [0.0] * len(rows)
    for chain in layered.chains:
        for upper, lower in pairwise(chain.stops):
            reaches[row_of[upper]] = max(reaches[row_of[upper]], abs(x[upper] - x[lower]))
    return reaches


def _bands(
    rows: Sequence[Sequence[int]], heights: Sequence[float], reaches: Sequence[float]
) -> list[tuple[float, float]]:
    """Top and bottom of the row that each box and bend stands in."""
    bands = [(0.0, 0.0)] * len(heights)
    top = 0.0
    for row, reach in zip(rows, reaches, strict=True):
        bottom = top + max(heights[one] for one in row)
        for one in row:
            bands[one] = (top, bottom)
        top = bottom + min(ROW_GAP + WIDER * reach, WIDEST)
    return bands


def _route(
    names: Sequence[str],
    chain: Chain,
    x: Sequence[float],
    bands: Sequence[tuple[float, float]],
    rects: Sequence[Rect],
) -> Route:
    """Down from the lower side of a box through all rows between to the upper side of the other."""
    first, *between, last = chain.stops
    aside = BESIDE if chain.turned else 0.0
    points = [(x[first] + aside, rects[first].bottom), (x[first] + aside, bands[first][1])]
    for bend in between:
        points += [(x[bend], bands[bend][0]), (x[bend], bands[bend][1])]
    points += [(x[last] + aside, bands[last][0]), (x[last] + aside, rects[last].y)]
    way = tuple(dict.fromkeys(points))
    if chain.turned:
        return Route(names[last], names[first], way[::-1])
    return Route(names[first], names[last], way)
