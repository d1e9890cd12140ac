"""`python -m tests.faults`: is docs/faults.md up to date? With `--write`, make it so."""

from __future__ import annotations

import sys

from tests.faults.page import PAGE, REWRITE, text
from tests.written_page import look_or_write

if __name__ == "__main__":
    sys.exit(look_or_write(PAGE, text, REWRITE, sys.argv[1:]))
