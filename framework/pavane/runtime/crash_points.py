"""Places where a process may die on purpose, so that anybody can see what happens then.

`PAVANE_CRASH=commit:3` makes a process kill itself with SIGKILL the third time it has committed a step. There is a
point behind every boundary of the protocol: what is written is written, what is to follow has not begun.
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
"""The points of one job's ordinary way, which the test kit can order by worker."""

SidePoint = Literal[
    "hold", "snooze", "again_published", "reject",
    "relay_tick", "relay_publish", "relay_mark",
    "client_write", "client_publish", "client_mark",
    "redrive", "redrive_publish", "redrive_mark",
]  # fmt: skip
"""Those beside it: held, put off or unreadable deliveries, the relay, a client's calls, a letter's redrive."""

Point: TypeAlias = CrashPoint | SidePoint
POINTS: tuple[str, ...] = (*get_args(CrashPoint), *get_args(SidePoint))

Passed: TypeAlias = Callable[[Point, str, JobKind], None]
"""Called right after each point, with the worker's full name (empty: no job's) and whether it was its undo."""


def pass_by(point: Point, worker: str, kind: JobKind) -> None:
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
    if point not in POINTS or not count.isdecimal() or int(count) < 1:
        raise SettingsError(
            f"PAVANE_CRASH={wanted!a:.80} is not <point>:<n>.",
            remedy=f"Points: {', '.join(POINTS)}; n counts from 1.",
        )
    left = int(count)

    def count_down(passed: Point, worker: str, kind: JobKind) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return count_down
