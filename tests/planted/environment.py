"""How processes of a tier are told of a bug: small, because every one of them loads it and hardly any has a bug."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Final

VARIABLE: Final = "PLANTED_BUG"
"""Names a bug for the processes of a tier that starts some; those inherit no variable that begins with PAVANE_."""


def planted_from_environment(module: str = "") -> AbstractContextManager[None]:
    """Plant the bug that PLANTED_BUG names, if any: in the ports that this module records, or in all of pavane's."""
    name = os.environ.get(VARIABLE)
    if not name:
        return nullcontext()
    from tests.planted.bugs import bug, planted, planted_unrecorded

    return planted(bug(name), module) if module else planted_unrecorded(bug(name))
