"""`make crash-matrix`: plays every cell on private servers and prints how often each point was hit.

python -m tests.crash               all
python -m tests.crash relay redrive   these roles only
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.matrix import MATRIX, NOT_PLAYED, ROLES, Cell, missing, points_in_the_code
from tests.crash.player import Player
from tests.servers import RabbitServer, RedisServer

LONGEST = 280.0


def main(roles: list[str]) -> int:
    """The exit code: 0 if every point of the code was hit in its cells and nothing showed of it."""
    chosen = [cell for cell in MATRIX if not roles or cell.role in roles]
    started = time.monotonic()
    with RabbitServer() as rabbit, RedisServer() as redis, tempfile.TemporaryDirectory() as folder:
        player = Player(chosen, rabbit.url, redis.url, Path(folder))
        player.start()
        try:
            wrong = {cell.name: said for cell in chosen if (said := tell(cell, player))}
        finally:
            player.finish()
    hits = Counter[tuple[str, str]]()
    for cell in chosen:
        hits[cell.role, cell.point] += cell.hits if cell.name not in wrong else 0
    print_table(hits, roles)
    without = missing(points_in_the_code())
    print(*(f"no cell for {point}" for point in without), sep="\n", end="\n" if without else "")
    print(f"{len(chosen)} cells, {len(wrong)} failed, {time.monotonic() - started:.0f} s")
    return 1 if wrong or without else 0


def tell(cell: Cell, player: Player) -> str:
    """Print a line when a cell has been played; what was wrong, or nothing."""
    try:
        seconds = player.outcomes[cell.name].result(LONGEST)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        print(f"{cell.name:36} FAILED {said}", flush=True)
        return said
    print(f"{cell.name:36} hits {cell.hits}  {seconds:5.1f} s", flush=True)
    return ""


def print_table(hits: Counter[tuple[str, str]], roles: list[str]) -> None:
    """Point by role: hits, `-` where the code has no such boundary, `no case` where a reason is written."""
    columns = [role for role in ROLES if not roles or role in roles]
    code = points_in_the_code()
    print(f"\n{'hits':18}" + "".join(f"{role:>14}" for role in columns))
    for point in dict.fromkeys(cell.point for cell in MATRIX):
        shown = [
            "not played" if (role, point) in NOT_PLAYED else str(hits[role, point]) if there else "-"
            for role in columns
            for there in ((role, point) in code,)
        ]
        print(f"{point:18}" + "".join(f"{one:>14}" for one in shown))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
