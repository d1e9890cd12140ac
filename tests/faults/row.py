"""One line of docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault.

    Attributes:
        id: `W2`; unique, and what tests are marked with.
        fault: what happens.
        expected: what pavane does then.
        without: what of it no test here does, and why; empty: nothing is left out.
    """

    id: str
    fault: str
    expected: str
    without: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page."""

    title: str
    rows: tuple[Row, ...]
