"""`python -m tests.faults`: is docs/faults.md up to date? With `--write`, make it so."""

from __future__ import annotations

import sys

from tests.faults.page import PAGE, REWRITE, text


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        PAGE.write_text(text())
        print(f"{PAGE.name} written")
        return 0
    if not PAGE.exists() or PAGE.read_text() != text():
        print(f"{PAGE.name} differs from the tests' marks: {REWRITE}", file=sys.stderr)
        return 1
    print(f"{PAGE.name} is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
