"""A layout of any graph: boxes keep apart, links pass through no box, and the same graph looks the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations, product
from random import Random

import pytest

from pavane.core.drawing.crossings import crossings, put_in_order
from pavane.core.drawing.layers import Chain, Layers
from pavane.core.drawing.layout import Layout, Rect, Route, Size, lay_out
from pavane.core.drawing.positions import GAP, apart

Links = list[tuple[str, str]]


def random_graph(seed: int) -> tuple[dict[str, Size], Links]:
    random = Random(seed)
    count = random.randrange(1, 40)
    sizes = {f"b{n}": Size(random.randrange(70, 400), random.randrange(20, 120)) for n in range(count)}
    pairs = {(random.choice(list(sizes)), random.choice(list(sizes))) for _ in range(random.randrange(60))}
    return sizes, sorted((a, b) for a, b in pairs if a != b)


def overlap(one: Rect, other: Rect) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def along(route: Route) -> Iterator[tuple[float, float]]:
    """Points of the way, close together: curves as they are drawn."""
    for (x, y), (to_x, to_y) in pairwise(route.points):
        for part in range(21):
            t = part / 20
            sideways = 3 * t**2 - 2 * t**3
            up = (1 - t) ** 3 * y + 3 * t * (1 - t) * ((y + to_y) / 2) + t**3 * to_y
            yield x + (to_x - x) * sideways, up


def check(layout: Layout, sizes: dict[str, Size], links: Links) -> None:
    assert list(layout.boxes) == list(sizes)
    for name, rect in layout.boxes.items():
        assert (rect.width, rect.height) == (sizes[name].width, sizes[name].height)
        assert rect.x >= -0.1
        assert rect.y >= -0.1
        assert rect.right <= layout.width + 0.1
        assert rect.bottom <= layout.height + 0.1
    for one, other in combinations(layout.boxes.values(), 2):
        assert not overlap(one, other)
    assert [(route.source, route.target) for route in layout.routes] == links
    for route in layout.routes:
        check_route(route, layout)


def check_route(route: Route, layout: Layout) -> None:
    for name, (x, y) in ((route.source, route.points[0]), (route.target, route.points[-1])):
        rect = layout.boxes[name]
        assert rect.x < x < rect.right
        assert y in (pytest.approx(rect.y, abs=0.2), pytest.approx(rect.bottom, abs=0.2))
    for x, y in along(route):
        assert -0.1 <= x <= layout.width + 0.1
        assert -0.1 <= y <= layout.height + 0.1
        for name, rect in layout.boxes.items():
            inside = rect.x + 0.2 < x < rect.right - 0.2 and rect.y + 0.2 < y < rect.bottom - 0.2
            assert not inside, f"{route.source} -> {route.target} passes through {name}"


@pytest.mark.parametrize("seed", range(60))
def test_boxes_keep_apart_and_links_pass_through_none(seed: int) -> None:
    sizes, links = random_graph(seed)
    check(lay_out(sizes, links), sizes, links)


def test_the_same_graph_gives_the_same_picture() -> None:
    sizes, links = random_graph(7)
    assert lay_out(sizes, links) == lay_out(dict(sizes), list(links))


def test_effects_stand_below_their_causes() -> None:
    sizes = {name: Size(80, 30) for name in "abcd"}
    boxes = lay_out(sizes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")]).boxes
    assert boxes["a"].bottom < boxes["b"].y < boxes["b"].bottom < boxes["c"].y < boxes["d"].y


def test_what_normally_happens_is_a_straight_line() -> None:
    sizes = {name: Size(80, 30) for name in "abcde"} | {"x": Size(200, 30), "y": Size(200, 30)}
    links = [("a", "x"), ("a", "b"), ("b", "y"), ("b", "c"), ("c", "d"), ("d", "e")]
    layout = lay_out(sizes, links)
    middles = {round(layout.boxes[name].x + 40, 1) for name in "abcde"}
    assert max(middles) - min(middles) < 0.5
    for route in (route for route in layout.routes if route.target not in "xy"):
        assert len({x for x, _ in route.points}) == 1


def test_a_cycle_is_drawn_from_where_it_begins_and_its_way_back_stands_beside() -> None:
    sizes = {name: Size(80, 30) for name in "cab"}
    links = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")]
    layout = lay_out(sizes, links, first=("a",))
    check(layout, sizes, links)
    assert layout.boxes["a"].y < layout.boxes["b"].y < layout.boxes["c"].y
    there, back = layout.routes[:2]
    assert there.points[0][0] != back.points[-1][0]
    assert back.points[0][1] > back.points[-1][1]


def test_what_it_begins_with_stands_at_the_top_left() -> None:
    sizes = {name: Size(80, 30) for name in ("x", "y", "z", "begin", "late", "later")}
    links = [("x", "y"), ("y", "z"), ("late", "later"), ("later", "z"), ("begin", "z")]
    assert lay_out(sizes, links, first=("begin",)).boxes["begin"].y == 0
    # What nobody waits for stands near to what it causes.
    assert lay_out(sizes, links).boxes["begin"].y > 0
    apart = lay_out(sizes, [*links[:2], ("begin", "later")], first=("begin",)).boxes
    assert apart["begin"].x < apart["x"].x


def test_few_links_cross_that_would_not_have_to() -> None:
    """Beside the best of all orders, which can be tried for small rows."""
    total = best = unordered = 0
    for seed in range(30):
        random = Random(seed)
        links = [(a, b) for a in range(4) for b in range(4, 8) if random.random() < 0.4]
        links += [(b, c) for b in range(4, 8) for c in range(8, 11) if random.random() < 0.4]
        found = Layers(11, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]], [Chain(link, False) for link in links])
        rows = put_in_order(found)
        assert [sorted(row) for row in rows] == found.rows
        assert crossings(rows, found.neighbours()[1]) == crossed(rows, links)
        total += crossed(rows, links)
        best += min(crossed(order, links) for order in product(*map(permutations, found.rows)))
        unordered += crossed(found.rows, links)
    assert total <= 1.2 * best, (total, best, unordered)
    assert total < unordered / 2


def crossed(rows: Sequence[Sequence[int]], links: Sequence[tuple[int, int]]) -> int:
    """Counted in the plainest way."""
    place = {one: at for row in rows for at, one in enumerate(row)}
    return sum(
        (place[a] - place[c]) * (place[b] - place[d]) < 0
        for row in rows
        for (a, b), (c, d) in combinations([link for link in links if link[0] in row], 2)
    )


def test_thousands_of_boxes_in_a_row_are_no_matter_of_recursion() -> None:
    sizes = {f"b{n}": Size(80, 30) for n in range(2_000)}
    links = [(f"b{n}", f"b{n + 1}") for n in range(1_999)]
    layout = lay_out(sizes, links)
    assert layout.boxes["b1999"].y > layout.boxes["b0"].y
    assert layout.width == 80


def test_nothing_at_all_is_a_picture_without_size() -> None:
    layout = lay_out({}, [])
    assert (layout.width, layout.height, layout.routes) == (0, 0, ())


@pytest.mark.parametrize("link", [("a", "a"), ("a", "b"), ("b", "a")])
def test_a_link_that_cannot_be_drawn_is_refused(link: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="no link can be drawn"):
        lay_out({"a": Size(1, 1)}, [link])


def test_wishes_are_fulfilled_as_far_as_the_distances_allow() -> None:
    assert apart([0, 100], [1, 1], [0, 10]) == [0, 100]
    assert apart([50, 50], [1, 1], [0, 20]) == [40, 60]
    assert apart([50, 50], [3, 1], [0, 20]) == [45, 65]
    assert apart([9, 0, 100], [1, 1, 1], [0, GAP, GAP]) == [4.5 - GAP / 2, 4.5 + GAP / 2, 100]
