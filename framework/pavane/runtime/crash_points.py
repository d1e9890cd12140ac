"""Places where a process may die on purpose, so that anybody can see what happens then.

`PAVANE_CRASH=commit:3` makes a process kill itself with SIGKILL the third time it has committed a step.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from pavane.core.record import JobKind
from pavane.errors import SettingsError

CrashPoint = Literal[
    "receive", "begin", "handler", "commit", "publish", "mark", "fail", "retry_published", "dead_published"
]
Passed: TypeAlias = Callable[[CrashPoint, str, JobKind], None]
"""Called right after each point, with the worker's full name and whether it was its undo."""


def pass_by(point: CrashPoint, worker: str, kind: JobKind) -> None:
    """Nothing happens here: the ordinary case."""


def from_environment() -> Passed:
    """What `PAVANE_CRASH` asks for; `pass_by` where it is not set.

    Raises:
        SettingsError: it is not `<point>:<n>` with a known point and n from 1.
    """
    wanted = os.environ.get("PAVANE_CRASH", "")
    if not wanted:
        return pass_by
    point, _, count = wanted.partition(":")
    if point not in get_args(CrashPoint) or not count.isdecimal() or int(count) < 1:
        raise SettingsError(
            f"PAVANE_CRASH={wanted!a:.80} is not <point>:<n>.",
            remedy=f"Points: {', '.join(get_args(CrashPoint))}; n counts from 1.",
        )
    left = int(count)

    def count_down(passed: CrashPoint, worker: str, kind: JobKind) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return count_down
