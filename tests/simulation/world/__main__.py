"""`make simulate`: plays blocks of seeds, and says what they came to.

FROM=1 SEEDS=2000    which seeds; blocks that were played on this commit are not played again
SEED=17              one seed, with everything that happened in it, UNTIL=<virtual seconds>
SEED=17 SHRINK=1     what of a seed that fails can be left out
RECORD=file          adds a line for each block to a file, with the commit
"""

from __future__ import annotations

import os
import sys

from tests.simulation.world.blocks import play_blocks
from tests.simulation.world.shrink import shrink, told
from tests.simulation.world.trace import tell


def main() -> int:
    seed = os.environ.get("SEED", "")
    if seed and os.environ.get("SHRINK"):
        print(told(int(seed), shrink(int(seed))))
        return 0
    if seed:
        return tell(int(seed), until=float(os.environ.get("UNTIL", "inf")))
    first, count = int(os.environ.get("FROM", "1")), int(os.environ.get("SEEDS", "2000"))
    return play_blocks(first, count)


if __name__ == "__main__":
    sys.exit(main())
