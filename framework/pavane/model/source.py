"""Where something was written: the file and line that a problem points to."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

_NOT_THE_USERS = ("pavane", "pydantic")


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; both `None` where code has no source."""

    file: str | None = None
    line: int | None = None


def caller() -> Place:
    """The nearest line of the stack that belongs to neither pavane nor pydantic."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in _NOT_THE_USERS:
            return Place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return Place()


def place_of(function: Callable[..., Any]) -> Place:
    """Where a function was defined."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code is not None else Place()
