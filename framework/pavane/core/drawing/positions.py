"""The third part of a layout: where in its row each box and bend stands.

Every box wants to stand in the middle of its neighbours. Row by row the wishes are fulfilled as well as the
order and the distances allow, down and up until it has settled. Two kinds of link pull harder: those between
bends, so that long links are straight, and the *spine*, the link from each box to the one below it that most
follows from, so that what normally happens is a straight line. Those are made exactly straight where there is
room, and the rest settles around them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pavane.core.drawing.layers import Layers

SWEEPS = 40
GAP = 24.0
"""Between two boxes of a row, in pixels; a bend keeps `BEND_GAP` from its neighbours."""

BEND_GAP = 16.0
PLAIN, SPINE, LONG = 1.0, 6.0, 8.0
"""How hard a link pulls."""

BEND_STAYS = 100.0
"""How hard a bend of a straight link resists to being moved."""

BASE, LONGEST = 8.0, 100
"""A box on the spine resists with `BASE` to the length of the chain that it is in, so that side branches give way to
the main one by whole pixels. Numbers end somewhere; so do lengths that are told apart."""

Pulls = Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row from left to right, with the distances between the centres of neighbours; 0 before the first."""

    members: Sequence[int]
    between: Sequence[float]


def centres(layers: Layers, ordered: Sequence[Sequence[int]], widths: Sequence[float]) -> list[float]:
    """The x of each box's and bend's centre; the leftmost box or bend begins at 0."""
    rows = [_Row(row, _distances(row, widths, layers.boxes)) for row in ordered]
    x = [0.0] * len(widths)
    for row in rows:
        for one, at in zip(row.members, _sums(row.between), strict=True):
            x[one] = at
    spine = _spine(layers)
    above, below = _pulls(layers, spine)
    straight = _straight_links(layers, spine)
    _settle(rows, x, above, below, {})
    _straighten(rows, x, straight)
    stays = dict(straight.values()) | {one: stay for one, (_, stay) in straight.items()}
    _settle(rows, x, above, below, stays)
    _straighten(rows, x, straight)
    left = min((at - widths[one] / 2 for one, at in enumerate(x)), default=0.0)
    return [at - left for at in x]


def _settle(
    rows: Sequence[_Row], x: list[float], above: Pulls, below: Pulls, stays: Mapping[int, float]
) -> None:
    """Let every row go where its neighbours pull it: first one way, then the other, then both together.

    What is in `stays` wishes to stand where it stands, and so hard.
    """
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            wishes: list[float] = []
            weights: list[float] = []
            for one in row.members:
                pulling = above[one] if downwards else below[one]
                if sweep >= SWEEPS // 2:
                    pulling = [*above[one], *below[one]]
                weight = sum(strength for _, strength in pulling)
                is_free = weight > 0 and one not in stays
                wishes.append(sum(x[other] * pull for other, pull in pulling) / weight if is_free else x[one])
                weights.append(stays.get(one, weight or PLAIN / 100))
            for one, at in zip(row.members, apart(wishes, weights, row.between), strict=True):
                x[one] = at


def _straighten(rows: Sequence[_Row], x: list[float], straight: Mapping[int, tuple[int, float]]) -> None:
    """Put what a straight link joins exactly below each other, from the top down."""
    for row in rows:
        wishes = [x[straight[one][0]] if one in straight else x[one] for one in row.members]
        weights = [straight[one][1] if one in straight else PLAIN for one in row.members]
        for one, at in zip(row.members, apart(wishes, weights, row.between), strict=True):
            x[one] = at


def apart(wishes: Sequence[float], weights: Sequence[float], between: Sequence[float]) -> list[float]:
    """Places as near to the wishes as can be (by weighted squares), each `between` after the one before it.

    A regression with an order: neighbours whose wishes collide become a block that stands at the mean of what its
    members wish.
    """
    offsets = _sums(between)
    blocks: list[tuple[float, float, int]] = []
    for wish, weight, offset in zip(wishes, weights, offsets, strict=True):
        mean, heavy, count = wish - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, members = blocks.pop()
            mean = (mean * heavy + other * more) / (heavy + more)
            heavy += more
            count += members
        blocks.append((mean, heavy, count))
    settled = [mean for mean, _, count in blocks for _ in range(count)]
    return [at + offset for at, offset in zip(settled, offsets, strict=True)]


def _distances(row: Sequence[int], widths: Sequence[float], boxes: int) -> list[float]:
    return [0.0] * bool(row) + [
        (widths[a] + widths[b]) / 2 + (GAP if a < boxes and b < boxes else BEND_GAP) for a, b in pairwise(row)
    ]


def _sums(between: Sequence[float]) -> list[float]:
    sums: list[float] = []
    for distance in between:
        sums.append((sums[-1] if sums else 0.0) + distance)
    return sums


def _pulls(layers: Layers, spine: Mapping[tuple[int, int], int]) -> tuple[Pulls, Pulls]:
    """For each box and bend what pulls it from above and from below, and how hard."""
    count = sum(map(len, layers.rows))
    above: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    below: list[list[tuple[int, float]]] = [[] for _ in range(count)]
    for chain in layers.chains:
        for upper, lower in pairwise(chain.stops):
            is_long = upper >= layers.boxes and lower >= layers.boxes
            strength = LONG if is_long else SPINE if (upper, lower) in spine else PLAIN
            above[lower].append((upper, strength))
            below[upper].append((lower, strength))
    return above, below


def _straight_links(layers: Layers, spine: Mapping[tuple[int, int], int]) -> dict[int, tuple[int, float]]:
    """What each box and bend is to stand exactly below, and how hard it insists."""
    found = {
        lower: (upper, BEND_STAYS) for chain in layers.chains for upper, lower in pairwise(chain.stops[1:-1])
    }
    return found | {lower: (upper, BASE ** min(length, LONGEST)) for (upper, lower), length in spine.items()}


def _spine(layers: Layers) -> dict[tuple[int, int], int]:
    """The links that lead on to the longest chain below and come from the longest above, where there is one such.

    With each the length of the longest chain that it is in.
    """
    row_of = {one: index for index, row in enumerate(layers.rows) for one in row}
    direct = [(c.stops[0], c.stops[-1]) for c in layers.chains if not c.turned]
    direct.sort(key=lambda link: (row_of[link[0]], link))
    under: dict[int, int] = {}
    for upper, lower in reversed(direct):
        under[upper] = max(under.get(upper, 0), 1 + under.get(lower, 0))
    over: dict[int, int] = {}
    for upper, lower in direct:
        over[lower] = max(over.get(lower, 0), 1 + over.get(upper, 0))
    down = _clear_choice((upper, lower, under.get(lower, 0)) for upper, lower in direct)
    up = _clear_choice((lower, upper, over.get(upper, 0)) for upper, lower in direct)
    return {
        (upper, lower): over.get(upper, 0) + 1 + under.get(lower, 0)
        for upper, lower in down.items()
        if up.get(lower) == upper and row_of[lower] == row_of[upper] + 1
    }


def _clear_choice(lengths: Iterable[tuple[int, int, int]]) -> dict[int, int]:
    """For each box the one beside it with the greatest length, if there is one such."""
    best: dict[int, tuple[int, int, bool]] = {}
    for box, other, length in lengths:
        chosen, longest, _ = best.get(box, (other, -1, True))
        if length > longest:
            best[box] = (other, length, True)
        elif length == longest and other != chosen:
            best[box] = (chosen, longest, False)
    return {box: other for box, (other, _, is_clear) in best.items() if is_clear}
