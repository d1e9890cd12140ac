"""`make chaos-cluster`. JSON=1: one object in the last line. The exit code is 0 if all went well, else 1."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster.namespaces import Refused, enter
from tests.cluster.nodes_lost import Scenario, lose_nodes
from tests.servers import ServerError

OK, WRONG = 0, 1


def main() -> int:
    """Go through everything and say what came of it."""
    try:
        enter("tests.cluster")
    except Refused as error:
        return conclude(
            [Scenario("network namespaces", "refused", [f"network namespaces are refused here: {error}"])]
        )
    folder = Path(tempfile.mkdtemp(prefix="pavane-cluster-"))
    logging.basicConfig(filename=folder / "cluster.log", level=logging.INFO)
    found: list[Scenario] = []
    for part in (lose_nodes,):
        try:
            found += asyncio.run(part(folder, say))
        except (Refused, ServerError, AssertionError) as error:
            found.append(Scenario(part.__name__, "not played", [str(error)]))
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
