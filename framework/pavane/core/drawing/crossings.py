"""The second part of a layout: the order within each row, so that few links cross.

Rows are sorted by where their neighbours stand, downwards and upwards in turn, then neighbours are exchanged
where that helps; the best order that was seen is kept. Nothing is random: the same graph gives the same picture.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import pairwise

from pavane.core.drawing.layers import Layers

SWEEPS, PATIENCE = 24, 8
"""How often rows are sorted at most, and without finding a better order."""

Neighbours = Sequence[Sequence[int]]


def put_in_order(layers: Layers) -> list[list[int]]:
    """The rows of `layers`, each from left to right."""
    above, below = layers.neighbours()
    rows = _first_order(layers.rows, below)
    best, least, in_vain = rows, crossings(rows, below), 0
    for sweep in range(SWEEPS):
        if not least or in_vain == PATIENCE:
            break
        rows = [list(row) for row in rows]
        _sort_by_neighbours(rows, above if sweep % 2 == 0 else below, downwards=sweep % 2 == 0)
        _exchange(rows, above, below)
        found = crossings(rows, below)
        in_vain += 1
        if found < least:
            best, least, in_vain = [list(row) for row in rows], found, 0
    return best


def crossings(rows: Sequence[Sequence[int]], below: Neighbours) -> int:
    """How often two links cross."""
    found = 0
    for row, following in pairwise(rows):
        place = {one: index for index, one in enumerate(following)}
        ends: list[int] = []
        for one in row:
            mine = [place[other] for other in below[one]]
            found += sum(len(ends) - bisect_right(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return found


def _first_order(rows: Sequence[Sequence[int]], below: Neighbours) -> list[list[int]]:
    """As a walk along the links comes by, so that what belongs together stands together."""
    row_of = {one: index for index, row in enumerate(rows) for one in row}
    ordered: list[list[int]] = [[] for _ in rows]
    seen: set[int] = set()
    for first in (one for row in rows for one in row):
        ahead = [first]
        while ahead:
            one = ahead.pop()
            if one not in seen:
                seen.add(one)
                ordered[row_of[one]].append(one)
                ahead += reversed(below[one])
    return ordered


def _sort_by_neighbours(rows: list[list[int]], beside: Neighbours, *, downwards: bool) -> None:
    """Sort each row by the middle of its neighbours; what has none keeps its place."""
    order = range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1)
    for index in order:
        fixed = rows[index - 1 if downwards else index + 1]
        place = {one: at for at, one in enumerate(fixed)}
        wanted = {one: _middle([place[other] for other in beside[one]]) for one in rows[index]}
        movable = iter(sorted((one for one in rows[index] if beside[one]), key=wanted.__getitem__))
        rows[index] = [next(movable) if beside[one] else one for one in rows[index]]


def _middle(places: list[int]) -> float:
    return sum(places) / len(places) if places else 0.0


def _exchange(rows: list[list[int]], above: Neighbours, below: Neighbours) -> None:
    """Exchange neighbours for as long as that takes crossings away."""
    place = {one: at for row in rows for at, one in enumerate(row)}
    better = True
    while better:
        better = False
        for row in rows:
            for at in range(len(row) - 1):
                left, right = row[at], row[at + 1]
                if _saved(left, right, above, place) + _saved(left, right, below, place) > 0:
                    row[at], row[at + 1] = right, left
                    place[left], place[right] = at + 1, at
                    better = True


def _saved(left: int, right: int, beside: Neighbours, place: dict[int, int]) -> int:
    """How many crossings between the links of two neighbours of a row go away if they are exchanged."""
    saved = 0
    for one in beside[left]:
        for other in beside[right]:
            saved += (place[one] > place[other]) - (place[one] < place[other])
    return saved
