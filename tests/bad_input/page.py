"""docs/bad-input.md, made of the very tables that the tests play."""

from __future__ import annotations

from pathlib import Path

from tests.bad_input import definitions, messages, runs, servers
from tests.bad_input.case import Case, Group

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
REWRITE = "python -m tests.bad_input --write"

HEAD = f"""\
# Bad input

What comes in wrong, what becomes of it, where you see it and what to do. The tests throw every line of these
tables at a worker on real servers (`tests/integration/test_bad_input_*.py`); this page is made from the same
tables by `{REWRITE}`, and a test fails if it differs.

Three things hold for every line. The worker goes on: the next good message is handled, over the same connection.
Nothing is lost: a message is a dead letter with its bytes (in the worker's dead-letter queue on RabbitMQ and in the
index that `pavane dlq ls` shows), or an error was raised to whoever called. And nothing is tried again that cannot
change: such a letter has no attempts.

*Dead letter* in the tables means: listed by `pavane dlq ls` with that code as its reason, shown by `pavane dlq show`
with error, headers and what could be read, and lying in the worker's dead-letter queue with the message's bytes.
`handled` as a code means that the message looks bad and is not: the handler runs, or there is nothing to do.
"""

GROUPS: tuple[Group, ...] = (*messages.GROUPS, *runs.GROUPS, *definitions.GROUPS, *servers.GROUPS)


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(section(group) for group in GROUPS)])


def section(group: Group) -> str:
    about = [group.about, ""] if group.about else []
    table = ["| input | code | where it is seen | remedy |", "|---|---|---|---|", *map(row, group.cases)]
    return "\n".join([f"## {group.title}", "", *about, *table, ""])


def row(case: Case) -> str:
    code = f"`{case.code}`"
    return "| " + " | ".join(map(cell, (case.what, code, case.seen, case.remedy))) + " |"


def cell(words: str) -> str:
    return (words[:1].upper() + words[1:]).replace("|", "\\|")
