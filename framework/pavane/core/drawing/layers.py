"""The first part of a layout: in which row each box stands, so that what causes stands above what it causes.

Boxes are numbers here. A cycle is broken by turning the link that closes it; a link that spans several rows gets
a *bend* in each row between, a number after those of the boxes, so that later parts see links between
neighbouring rows only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chain:
    """A link on its way down: its box, its bends, its box. `turned`: the link itself points up."""

    stops: tuple[int, ...]
    turned: bool


@dataclass(frozen=True, slots=True)
class Layers:
    """Every box and bend in its row (top first, in no particular order), and how each link goes through them."""

    boxes: int
    rows: list[list[int]]
    chains: list[Chain]

    def neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        """For each box and bend those above it and those below it; twice where two links go."""
        count = sum(map(len, self.rows))
        above: list[list[int]] = [[] for _ in range(count)]
        below: list[list[int]] = [[] for _ in range(count)]
        for chain in self.chains:
            for upper, lower in pairwise(chain.stops):
                above[lower].append(upper)
                below[upper].append(lower)
        return above, below


def layers(boxes: int, links: Sequence[Link], first: Collection[int] = ()) -> Layers:
    """Put boxes 0 … `boxes` - 1 into rows. No link may lead from a box to itself.

    What follows is seen from the boxes in `first`, and they stand as high as they can.
    """
    turned = closing_links(boxes, links, first)
    down = [(b, a) if place in turned else (a, b) for place, (a, b) in enumerate(links)]
    rank = ranks(boxes, down, first)
    rows: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for box in range(boxes):
        rows[rank[box]].append(box)
    chains: list[Chain] = []
    bends = boxes
    for place, (upper, lower) in enumerate(down):
        between = range(rank[upper] + 1, rank[lower])
        for row in between:
            rows[row].append(bends + row - between.start)
        chains.append(Chain((upper, *range(bends, bends + len(between)), lower), place in turned))
        bends += len(between)
    return Layers(boxes, rows, chains)


def closing_links(boxes: int, links: Sequence[Link], first: Collection[int]) -> frozenset[int]:
    """The places of the links that close a cycle, on a walk from `first`, then from where nothing leads to."""
    leaving: list[list[tuple[int, int]]] = [[] for _ in range(boxes)]
    for place, (a, b) in enumerate(links):
        leaving[a].append((place, b))
    has_cause = {b for _, b in links}
    closing: set[int] = set()
    seen: set[int] = set()
    for begin in sorted(range(boxes), key=lambda box: (box not in first, box in has_cause, box)):
        if begin in seen:
            continue
        seen.add(begin)
        path = {begin}
        ahead = [(begin, iter(leaving[begin]))]
        while ahead:
            box, rest = ahead[-1]
            place, following = next(rest, (-1, -1))
            if place < 0:
                ahead.pop()
                path.discard(box)
            elif following in path:
                closing.add(place)
            elif following not in seen:
                seen.add(following)
                path.add(following)
                ahead.append((following, iter(leaving[following])))
    return frozenset(closing)


def ranks(boxes: int, links: Iterable[Link], first: Collection[int]) -> list[int]:
    """Each box one row below the lowest of its causes; one with more effects than causes as low as they let it."""
    above: list[list[int]] = [[] for _ in range(boxes)]
    below: list[list[int]] = [[] for _ in range(boxes)]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    waits = [len(causes) for causes in above]
    order = [box for box in range(boxes) if not waits[box]]
    rank = [0] * boxes
    for box in order:
        for following in below[box]:
            rank[following] = max(rank[following], rank[box] + 1)
            waits[following] -= 1
            if not waits[following]:
                order.append(following)
    for box in reversed(order):
        if len(below[box]) > len(above[box]) and box not in first:
            rank[box] = min(rank[following] for following in below[box]) - 1
    return rank
