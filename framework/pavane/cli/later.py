"""Commands that are promised and that this version does not have yet, refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pavane.model.later import in_calls

_LATER: Final = """
    breakers, schedules, gates, contracts ls, health, dashboard, state
"""
_NAMES: Final = frozenset(name.strip() for name in _LATER.split(","))


def refuse_later(words: Sequence[str]) -> None:
    """
    Raises:
        UsageError: the command line begins with such a command.
    """
    for count in (1, 2):
        command = " ".join(words[:count])
        if command in _NAMES:
            raise in_calls(f"pavane {command}")
