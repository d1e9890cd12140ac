"""`make planted`: a table of bugs and tiers, with the seed or story at which each is caught.

It fails if no tier catches a bug, or if a tier misses one of its share. `BUG=name` plants one bug only; what is said
of it is then told in full. `STORM=1` asks the storm on real servers as well, a minute and a half for each bug.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping

from tests.planted.bugs import BUGS, Bug
from tests.planted.tiers import CATCHERS, Caught


def main() -> int:
    """The exit code: 0 if everything was caught by whom it has to be caught by."""
    logging.disable(logging.CRITICAL)  # what a bug makes pavane complain about concerns nobody here
    chosen = [bug for bug in BUGS if os.environ.get("BUG", bug.name) == bug.name]
    if not chosen:
        print(f"BUG={os.environ['BUG']}: one of {', '.join(bug.name for bug in BUGS)}.", file=sys.stderr)
        return 2
    print(row("", dict(zip(CATCHERS, CATCHERS, strict=True))))
    missed = [complaint for bug in chosen for complaint in judge(bug, caught(bug))]
    for complaint in missed:
        print(complaint)
    print(f"{len(chosen)} bugs planted, {len(missed)} complaints")
    return 1 if missed else 0


def caught(bug: Bug) -> dict[str, Caught]:
    """What each tier says of a bug; a line of the table is printed when all have spoken."""
    began = time.monotonic()
    found: dict[str, Caught] = {tier: catch(bug) for tier, catch in CATCHERS.items()}
    print(f"{row(bug.name, found)} {time.monotonic() - began:6.1f} s", flush=True)
    return found


def row(name: str, said: Mapping[str, Caught]) -> str:
    cells = [shortened(said[tier]) for tier in CATCHERS if tier != "storm" or "STORM" in os.environ]
    return f"{name:26} " + " ".join(f"{cell:30}" for cell in cells)


def shortened(said: str | None) -> str:
    if said is None:
        return "-"
    return said if "BUG" in os.environ else said[:29]


def judge(bug: Bug, found: Mapping[str, Caught]) -> list[str]:
    """What is wrong with the tiers."""
    if not any(found.values()):
        return [f"{bug.name}: nobody has caught it"]
    asked = [tier for tier in bug.caught_by if tier != "storm" or "STORM" in os.environ]
    return [f"{bug.name}: {tier} must catch it" for tier in asked if not found[tier]]


if __name__ == "__main__":
    sys.exit(main())
