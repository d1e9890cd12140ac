"""The official parser, a program for node that `scripts/setup` installs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = Path(sys.executable).parent.parent / "asyncapi" / "node_modules"
ADVICE = "asyncapi-latest-version"
"""That there is a newer minor version of AsyncAPI: 3.0 is the one that most tools read."""


@dataclass(frozen=True)
class Parsed:
    """What the parser says: its problems, and the ids of the operations that it sees."""

    problems: list[dict[str, Any]]
    operations: list[str]


def parse(documents: list[str]) -> list[Parsed]:
    """Let the parser read documents; one process for all of them, for it takes seconds to come up."""
    done = subprocess.run(
        ["node", str(HERE / "parse.cjs")],
        input=json.dumps(documents),
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [
        Parsed([one for one in answer["problems"] if one["code"] != ADVICE], answer["operations"])
        for answer in json.loads(done.stdout)
    ]
