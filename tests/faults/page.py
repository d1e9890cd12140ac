"""docs/faults.md, made of the rows and of the tests' own marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.marks import Shown, shown
from tests.faults.messages import COMPENSATION, LOAD, MESSAGES
from tests.faults.row import Row, Table
from tests.faults.servers import RABBITMQ, REDIS
from tests.faults.surroundings import NETWORK, TIME
from tests.faults.workers import WORKERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
REWRITE = "python -m tests.faults --write"

HEAD = f"""\
# Faults

What goes wrong in production, what pavane does then, and which test does it. A test names the rows that it shows
(`@pytest.mark.fault("W2")`); this page is made from these marks by `{REWRITE}`, and a test fails if it
differs, or if a row has neither a test nor a reason. Tests run on real servers, most of them with real
processes, unless their folder is `unit`: there broker and store are in memory. Those of `saga` run on both.
"""

TABLES: tuple[Table, ...] = (WORKERS, RABBITMQ, REDIS, NETWORK, TIME, MESSAGES, LOAD, COMPENSATION)


def text() -> str:
    """The whole page."""
    tests = shown()
    return "\n".join([HEAD, *(section(table, tests) for table in TABLES)])


def section(table: Table, tests: Mapping[str, Sequence[Shown]]) -> str:
    head = ["| | fault | expected | tests |", "|---|---|---|---|"]
    return "\n".join(
        [f"## {table.title}", "", *head, *(line(row, tests.get(row.id, ())) for row in table.rows), ""]
    )


def line(row: Row, tests: Sequence[Shown]) -> str:
    cells = (row.id, row.fault, row.expected, evidence(row, tests))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def evidence(row: Row, tests: Sequence[Shown]) -> str:
    """The tests by file, and what is left out."""
    by_file: dict[str, list[str]] = {}
    for one in tests:
        by_file.setdefault(one.file, []).append(one.words)
    said = [f"`{file}`: {'; '.join(words)}" for file, words in by_file.items()]
    left_out = [f"**Not tested:** {row.without}"] if row.without else []
    return "<br>".join([*said, *left_out])


def bare() -> list[str]:
    """Rows that have neither a test nor a reason."""
    tests = shown()
    return [row.id for table in TABLES for row in table.rows if not (tests.get(row.id) or row.without)]


def unknown() -> list[str]:
    """Rows that tests name and that are not on the page."""
    known = {row.id for table in TABLES for row in table.rows}
    return sorted(set(shown()) - known)
