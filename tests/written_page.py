"""Pages of docs/ that are written from the tests: is one up to date, and make it so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def look_or_write(page: Path, text: Callable[[], str], rewrite: str, arguments: Sequence[str]) -> int:
    """Compare the page with what the tests say; with `--write`, write it.

    Args:
        rewrite: the command that is printed when the page differs.

    Returns:
        The exit code: 1 if the page differs.
    """
    if list(arguments) == ["--write"]:
        page.write_text(text())
        print(f"{page.name} written")
        return 0
    if not page.exists() or page.read_text() != text():
        print(f"{page.name} differs from what the tests say: {rewrite}", file=sys.stderr)
        return 1
    print(f"{page.name} is up to date")
    return 0
