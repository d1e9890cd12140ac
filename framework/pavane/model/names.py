"""Names, checked once at the door: what passes here is safe in queue names, routing keys and store keys."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_RUN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIMER_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LONGEST_EVENT: Final = 128

RESERVED: Final = "pavane."
"""Events of this prefix are the framework's own."""


def name_problem(name: object) -> str | None:
    """What is wrong with the name of a service, worker or workflow; `None` if nothing."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return f"{_shown(name)} is no name: [a-z][a-z0-9_]*, at most 63 characters."


def event_name_problem(name: object) -> str | None:
    """What is wrong with an event's name; `None` if nothing."""
    if isinstance(name, str) and len(name) <= _LONGEST_EVENT and _EVENT.fullmatch(name):
        return None
    return (
        f"{_shown(name)} is no event name: words of [a-z][a-z0-9_]* joined by dots, at most 128 characters."
    )


def run_id_problem(run_id: object) -> str | None:
    """What is wrong with a run id; `None` if nothing."""
    if isinstance(run_id, str) and _RUN_ID.fullmatch(run_id):
        return None
    return f"{_shown(run_id)} is no run id: 1 to 128 of A-Z a-z 0-9 . _ : -"


def timer_key_problem(key: object) -> str | None:
    """What is wrong with a timer's key; `None` if nothing."""
    if isinstance(key, str) and _TIMER_KEY.fullmatch(key):
        return None
    return f"{_shown(key)} is no timer key: 1 to 128 of A-Z a-z 0-9 . _ : -"


def split_run(run: str) -> tuple[str, str] | None:
    """Workflow and run id of a run's full name; `None` if `run` is not one."""
    workflow, separator, run_id = run.partition(":")
    if not separator or name_problem(workflow) or run_id_problem(run_id):
        return None
    return workflow, run_id


def _shown(value: object) -> str:
    """The value as a short, printable literal: it may come from a peer and be long or hostile."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
