"""`make check`: format, lint, types, layers and the services' choreography; all of them run, also after one failed.

The services' and contracts' types are checked with pavane's own, as a user's would be.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "mypy": ["mypy", "--no-error-summary"],
    "pyright": ["pyright", "--warnings", "--project", "pyproject.toml"],
    "layers": ["lint-imports", "--no-cache"],
    "flow": ["pavane", "check", "services", "--strict"],
}


def passes(name: str, command: list[str]) -> bool:
    """Run one check; what it says is shown only if it fails."""
    started = time.monotonic()
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    passed = done.returncode == 0
    if not passed:
        print(f"\n$ {' '.join(command)}\n{done.stdout.rstrip()}\n")
    print(f"check {name:8} {'ok' if passed else 'FAILED':7} {time.monotonic() - started:6.1f} s", flush=True)
    return passed


def main() -> int:
    """The exit code: 0 if every check passed."""
    results = [passes(name, command) for name, command in CHECKS.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
