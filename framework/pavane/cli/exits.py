"""How a command ends: its exit code, and the error it reports.

0    done
1    the answer is no: findings, changes pending, a run that did not complete, a refused item
2    usage, settings or definition error
3    not found
4    broker or store unreachable
5    refused by the present status, or not confirmed
124  --timeout passed
"""

from __future__ import annotations

from typing import Final

from pavane.client import LetterNotFound
from pavane.errors import (
    BrokerUnavailable,
    DefinitionError,
    InfrastructureError,
    MessageError,
    PavaneError,
    RunError,
    RunFailed,
    RunNotFound,
    SettingsError,
    StateUnavailable,
    UsageError,
)

DONE: Final = 0
NO: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNREACHABLE: Final = 4
REFUSED: Final = 5
TIMED_OUT: Final = 124
INTERRUPTED: Final = 130

# The first class that fits decides.
_CODES: Final[tuple[tuple[type[PavaneError], int], ...]] = (
    (LetterNotFound, NOT_FOUND),
    (RunNotFound, NOT_FOUND),
    (RunFailed, NO),
    (RunError, REFUSED),
    (UsageError, USAGE),
    (SettingsError, USAGE),
    (DefinitionError, USAGE),
    (MessageError, USAGE),
    (BrokerUnavailable, UNREACHABLE),
    (StateUnavailable, UNREACHABLE),
    (InfrastructureError, REFUSED),
)


_REMEDIES: Final = {
    USAGE: "`--help` shows what can be given.",
    REFUSED: "`pavane runs show` says how the run stands.",
}
"""Where the error knows no better."""


def code_of(error: PavaneError) -> int:
    """The exit code that tells of `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), NO)


def remedy_of(error: PavaneError) -> str:
    """What to do about `error`; never empty."""
    return error.remedy or _REMEDIES.get(code_of(error), "`pavane runs show` and `pavane dlq ls` say more.")
