"""A seed, told to a reader: everything that happened in it, in virtual time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.checker.history import Entry
from tests.simulation.world.outcome import Outcome
from tests.simulation.world.world import simulate
from tests.workload.build import WORKFLOW

ROOT = Path(__file__).resolve().parents[3]
RUN = f"{WORKFLOW}:"
ABOUT_ALL = ("nemesis", "process", "crash")
SIGNS = {"invoke": "->", "ok": "ok", "fail": "no", "info": "??"}


def commit() -> str:
    """The commit that is checked out; with `+` if something has changed since."""
    name = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "framework", "tests")
    return f"{name}+" if changed else name


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def tell(seed: int, *, until: float = float("inf")) -> int:
    """Print a seed from its beginning; the exit code."""
    outcome = simulate(seed, traced=True)
    print("\n".join(lines_of(outcome, until=until)))
    print("\n".join(verdict_of(outcome)))
    return 1 if outcome.violations else 0


def failure(seed: int) -> str:
    """What to print of a seed that failed: the first run concerned, or everything if no run is."""
    outcome = simulate(seed, traced=True)
    named = [word.rstrip(":") for one in outcome.violations for word in one.split() if word.startswith(RUN)]
    return "\n".join([*lines_of(outcome, about=named[0] if named else ""), *verdict_of(outcome)])


def verdict_of(outcome: Outcome) -> Iterator[str]:
    yield f"seed {outcome.seed} on {commit()}: {outcome.steps} steps, {outcome.runs} runs"
    for violation in outcome.violations:
        yield f"VIOLATED {violation}"
    yield f"again: SEED={outcome.seed} make simulate (UNTIL=<virtual seconds> stops the telling there)"


def lines_of(outcome: Outcome, *, about: str = "", until: float = float("inf")) -> list[str]:
    """The history and the logs in order of time; only what concerns one record, if one is given."""
    found = [
        (entry.at / 1e9, line_of(entry))
        for entry in outcome.entries
        if not about or entry.op in ABOUT_ALL or entry.record == about or about in str(entry.detail)
    ]
    found += [
        (at, f"{who:10}    {what}")
        for at, who, what in outcome.told
        if not about or f"{about} " in f"{what} "
    ]
    found.sort(key=lambda one: one[0])
    return [f"{at:10.4f} {text}" for at, text in found if at <= until]


def line_of(entry: Entry) -> str:
    """One entry, as short as it can be understood."""
    said = [entry.record, entry.step]
    said += ["undo"] if entry.kind == "undo" else []
    numbers = (("attempt", entry.attempt), ("token", entry.token), ("generation", entry.generation))
    said += [f"{name} {number}" for name, number in numbers if number]
    said += [entry.answer, " ".join(f"{name}={value}" for name, value in entry.detail.items() if value)]
    return f"{entry.process:10} {SIGNS[entry.type]} {entry.op} {' '.join(word for word in said if word)}"
