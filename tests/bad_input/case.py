"""One line of docs/bad-input.md: what comes in, and what becomes of it. The tests play it, the page shows it."""

from __future__ import annotations

from dataclasses import dataclass

HANDLED = "handled"
"""Code of what looks bad and is not: the handler runs."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A bad input.

    Attributes:
        what: the input, as the page says it; unique.
        code: of the letter (its `reason`), of the error, or of the definition's problem; or `HANDLED`.
        seen: where somebody sees it.
        remedy: what to do then.
    """

    what: str
    code: str
    seen: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """A table of the page."""

    title: str
    about: str
    cases: tuple[Case, ...]
