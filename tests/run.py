"""`make test`: the checks, then each folder of tests/ as a part of its own, with its seconds.

    python -m tests.run                 everything
    python -m tests.run unit services   these parts only

A part is a folder with test files; a new folder is a new part by itself. A part without tests fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests import check
from tests.tally import LEFT_OUT

ROOT = Path(__file__).resolve().parent.parent
FIRST = (
    "unit",
    "typing",
    "conformance",
    "simulation",
    "integration",
    "services",
)  # quick ones first, then the rest


def parts(tests: Path) -> list[str]:
    """The folders of `tests` that hold tests, in the order they run in."""
    found = {file.relative_to(tests).parts[0] for file in tests.rglob("test_*.py") if file.parent != tests}
    return [part for part in FIRST if part in found] + sorted(found.difference(FIRST))


def run_part(part: str, tests: Path, tally: Path) -> tuple[bool, Counter[str]]:
    """Run one part; whether it passed, and its counts."""
    tally.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.tally",
        "--tally",
        str(tally),
        str(tests / part),
    ]
    passed = subprocess.run([*command, "--durations=5", "--durations-min=2"], cwd=ROOT).returncode == 0
    return passed, Counter(json.loads(tally.read_text()) if tally.exists() else {"errors": 1})


def summary(counts: Counter[str]) -> str:
    """One plain line: `123 passed, 0 failed`, and what else there was."""
    rest = [f"{counts[kind]} {kind}" for kind in ("errors", *LEFT_OUT) if counts[kind]]
    return ", ".join([f"{counts['passed']} passed", f"{counts['failed']} failed", *rest])


def main(names: Sequence[str] = (), tests: Path = ROOT / "tests") -> int:
    """Run the named parts, or the checks and all parts; the exit code."""
    started, total, rows = time.monotonic(), Counter[str](), []
    chosen = list(names) or ["check", *parts(tests)]
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen:
            print(f"\n=== {part}", flush=True)
            part_started = time.monotonic()
            if part == "check":
                passed, counts = check.main() == 0, Counter[str]()
            else:
                passed, counts = run_part(part, tests, Path(folder) / "tally.json")
            rows.append((part, passed, time.monotonic() - part_started, counts))
            total += counts
    print()
    for part, passed, seconds, counts in rows:
        said = "ok" if passed else "FAILED"
        print(f"{part:12} {said:7} {seconds:7.1f} s  {'' if part == 'check' else summary(counts)}")
    print(f"{'all':12} {'':7} {time.monotonic() - started:7.1f} s")
    print(summary(total) + ("" if all(row[1] for row in rows) else "; not all parts passed"))
    return 0 if all(row[1] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
