"""`make chaos-cluster`: everything of `tests.cluster`, one after another.

Variables: ONLY (names of parts, with commas between), JSON=1 (one object in the last line). The exit code is 0 if all
went well, else 1: also where the system refuses network namespaces, for then the half of it was not played.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.cluster.namespaces import Refused, enter
from tests.cluster.nodes_lost import Scenario, lose_nodes
from tests.cluster.stores import fail_over, use_cluster
from tests.servers import ServerError

OK, WRONG = 0, 1
PARTS = (fail_over, use_cluster, lose_nodes)


def main() -> int:
    """Go through everything and say what came of it."""
    found: list[Scenario] = []
    parts = [part for part in PARTS if part.__name__ in os.environ.get("ONLY", part.__name__).split(",")]
    try:
        enter("tests.cluster")
    except Refused as error:
        found.append(
            Scenario("network namespaces", "refused", [f"nodes cannot be lost or cut off here: {error}"])
        )
        parts = [part for part in parts if part is not lose_nodes]
    folder = Path(tempfile.mkdtemp(prefix="pavane-cluster-"))
    logging.basicConfig(filename=folder / "cluster.log", level=logging.INFO)
    for part in parts:
        try:
            found += asyncio.run(part(folder, say))
        except (Refused, ServerError, AssertionError) as error:
            found.append(Scenario(part.__name__, "not played", [str(error)]))
    shutil.rmtree(folder)
    return conclude(found)


def conclude(found: list[Scenario]) -> int:
    for one in found:
        say(f"{'WRONG' if one.wrong else 'ok':5} {one.name}: {one.told}")
        for sentence in one.wrong[:20]:
            say(f"      {sentence}")
    wrong = [f"{one.name}: {sentence}" for one in found for sentence in one.wrong]
    if os.environ.get("JSON", "0") != "0":
        say(json.dumps({"ok": not wrong, "scenarios": [vars(one) for one in found], "violations": wrong}))
    return WRONG if wrong else OK


def say(sentence: str) -> None:
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
