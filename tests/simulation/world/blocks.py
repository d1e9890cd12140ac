"""Blocks of seeds, played once on each commit and recorded with it: a long row can be stopped and gone on with."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tests.simulation.world.seeds import Total, play
from tests.simulation.world.trace import ROOT, commit, failure

BLOCK = 500
RECORD = ROOT / "docs" / "simulated.jsonl"
SHOWN = 3
"""Failures of a block that are told in full."""


def play_blocks(first: int, count: int) -> int:
    """Play the seeds in blocks, leaving out those that this commit has played; the exit code."""
    record = Path(os.environ.get("RECORD", RECORD))
    here, worst = commit(), 0
    known = {(one["from"], one["to"]): one for one in recorded(record) if one["commit"] == here}
    for start in range(first, first + count, BLOCK):
        seeds = range(start, min(start + BLOCK, first + count))
        before = known.get((seeds.start, seeds.stop - 1))
        if before is not None and not here.endswith("+"):
            print(
                f"seeds {seeds.start} to {seeds.stop - 1}: played on {here} already, failed: {before['failed']}"
            )
            worst |= bool(before["failed"])
            continue
        total = play_block(seeds)
        worst |= bool(total.failed)
        note(record, here, seeds, total)
    return int(worst)


def play_block(seeds: range) -> Total:
    began, total = time.monotonic(), Total()
    for outcome in play(seeds):
        total.add(outcome)
    seconds = time.monotonic() - began
    print(f"--- seeds {seeds.start} to {seeds.stop - 1}, {seconds:.0f} s\n{total}", flush=True)
    for seed in sorted(total.failed)[:SHOWN]:
        print(f"\n{failure(seed)}", flush=True)
    return total


def note(record: Path, here: str, seeds: range, total: Total) -> None:
    line: dict[str, Any] = {
        "commit": here,
        "from": seeds.start,
        "to": seeds.stop - 1,
        "steps": total.steps,
        "runs": total.runs,
        "faults": dict(sorted(total.faults.items())),
        "outcomes": dict(sorted(total.outcomes.items())),
        "recovery_s": round(total.recovery, 1),
        "slowest": total.slowest,
        "failed": sorted(total.failed),
    }
    with record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def recorded(record: Path) -> list[dict[str, Any]]:
    """What the file knows; nothing if there is none yet."""
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
