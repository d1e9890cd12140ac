"""`make test`: the checks, then each folder of tests/ as a part of its own, with its seconds.

    python -m tests.run                 everything
    python -m tests.run unit services   these parts only

A part is a folder with test files; a new folder is a new part by itself. A part without tests fails. What mostly
waits for servers runs beside the others, and is printed when it has ended; what needs the whole machine comes first
and last.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from tests import check
from tests.tally import LEFT_OUT

ROOT = Path(__file__).resolve().parent.parent
ALONE = ("simulation",)  # its worlds go by the clock; nothing runs beside it
FIRST = ("simulation", "unit", "typing", "conformance", "services")  # quick ones first, then the rest
BESIDE = ("integration", "crash", "faults", "saga", "races", "proxy")
LAST = "chaos"
PROCESSES = {"integration": 2}
"""Parts whose files are shared out: one process would wait for servers for half of the whole time."""

Result = tuple[str, bool, float, Counter[str]]
"""A part's name, whether it passed, its seconds, its counts."""


def parts(tests: Path) -> list[str]:
    """The folders of `tests` that hold tests, in the order they run in."""
    found = {file.relative_to(tests).parts[0] for file in tests.rglob("test_*.py") if file.parent != tests}
    last = [part for part in (*BESIDE, LAST) if part in found]
    return [part for part in FIRST if part in found] + sorted(found.difference(FIRST, last)) + last


def run_part(part: str, tests: Path, folder: Path, output: IO[str] | None = None) -> Result:
    """Run one part; its output goes to the terminal, or into a file."""
    started, tally = time.monotonic(), folder / f"{part}.json"
    if part == "check":
        return part, check.main() == 0, time.monotonic() - started, Counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.tally", "--tally", str(tally)]
    options = ["--durations=5", "--durations-min=2", str(tests / part)]
    if processes := PROCESSES.get(part):
        options += ["-n", str(processes), "--dist", "loadfile"]
    passed = subprocess.run([*command, *options], cwd=ROOT, stdout=output, stderr=output).returncode == 0
    counts = Counter[str](json.loads(tally.read_text()) if tally.exists() else {"errors": 1})
    return part, passed, time.monotonic() - started, counts


@contextmanager
def beside(
    chosen: Sequence[str], tests: Path, folder: Path
) -> Generator[Mapping[str, Callable[[], Result]], None, None]:
    """Run parts in the background, one after the other; what is yielded waits for each and prints what it said."""
    with ThreadPoolExecutor(1) as pool:
        running = {part: pool.submit(run_into_file, part, tests, folder) for part in chosen}

        def ended(part: str) -> Result:
            result = running[part].result()
            print(f"\n=== {part}", flush=True)
            print((folder / f"{part}.txt").read_text(), flush=True)
            return result

        yield {part: partial(ended, part) for part in chosen}


def run_into_file(part: str, tests: Path, folder: Path) -> Result:
    with (folder / f"{part}.txt").open("w") as output:
        return run_part(part, tests, folder, output)


def run_parts(chosen: Sequence[str], tests: Path, folder: Path) -> list[Result]:
    """Run parts in their order, some of them beside the others if there are others."""
    results = [run_aloud(part, tests, folder) for part in chosen if part in ALONE]
    others = [part for part in chosen if part not in ALONE]
    waiting = [part for part in others if part in BESIDE]
    if len(waiting) == len(others):
        waiting = []
    if waiting:
        print(f"\n=== beside the other parts: {', '.join(waiting)}", flush=True)
    with beside(waiting, tests, folder) as ended:
        for part in others:
            results.append(ended[part]() if part in ended else run_aloud(part, tests, folder))
    return results


def run_aloud(part: str, tests: Path, folder: Path) -> Result:
    print(f"\n=== {part}", flush=True)
    return run_part(part, tests, folder)


def summary(counts: Counter[str]) -> str:
    """One plain line: `123 passed, 0 failed`, and what else there was."""
    rest = [f"{counts[kind]} {kind}" for kind in ("errors", *LEFT_OUT) if counts[kind]]
    return ", ".join([f"{counts['passed']} passed", f"{counts['failed']} failed", *rest])


def main(names: Sequence[str] = (), tests: Path = ROOT / "tests") -> int:
    """Run the named parts, or the checks and all parts; the exit code."""
    # The tests start some thousand Python processes: each would compile pavane again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started, total = time.monotonic(), Counter[str]()
    chosen = list(names) or ["check", *parts(tests)]
    with tempfile.TemporaryDirectory() as folder:
        results = run_parts(chosen, tests, Path(folder))
    print()
    for part, passed, seconds, counts in results:
        total += counts
        said = "ok" if passed else "FAILED"
        print(f"{part:12} {said:7} {seconds:7.1f} s  {'' if part == 'check' else summary(counts)}")
    print(f"{'all':12} {'':7} {time.monotonic() - started:7.1f} s")
    print(summary(total) + ("" if all(result[1] for result in results) else "; not all parts passed"))
    return 0 if all(result[1] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
