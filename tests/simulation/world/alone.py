"""Taking away what a world must not ask: real time, the operating system's randomness, threads, sockets."""

from __future__ import annotations

import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

from tests.simulation.world.loop import OWNER, WorldLoop

START_NS = 1_767_225_600_000_000_000
"""The first of January 2026, at which every world begins."""


@contextmanager
def alone(loop: WorldLoop, chance: Random) -> Generator[None]:
    """Time is the world's, as each machine's clock shows it; what cannot be the world's is refused."""

    def wall() -> int:
        owner = OWNER.get()
        skew = owner.skew * 1_000_000 if owner is not None else 0
        return START_NS + round(loop.time() * 1_000_000_000) + skew

    def forbidden(what: str) -> Callable[..., Any]:
        def refuse(*_: object, **__: object) -> Any:
            raise AssertionError(f"{what} is not to be asked inside of a world")

        return refuse

    def monotonic() -> int:
        return round(loop.time() * 1_000_000_000)

    replaced: list[tuple[Any, str, Any]] = [
        (time, "time_ns", wall),
        (time, "time", lambda: wall() / 1_000_000_000),
        (time, "monotonic", loop.time),
        (time, "monotonic_ns", monotonic),
        (time, "perf_counter", loop.time),
        (time, "sleep", forbidden("time.sleep")),
        (random, "_urandom", lambda size: chance.randbytes(size)),
        (random, "random", forbidden("random.random")),
        (threading.Thread, "start", forbidden("a thread")),
        (socket, "socket", forbidden("a socket")),
    ]
    with ExitStack() as stack:
        for place, name, instead in replaced:
            stack.enter_context(patch.object(place, name, instead))
        yield


class Told(logging.Handler):
    """What machines log, with virtual times."""

    def __init__(self, loop: WorldLoop) -> None:
        super().__init__()
        self._loop = loop
        self.lines: list[tuple[float, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        owner = OWNER.get()
        self.lines.append((self._loop.time(), owner.name if owner else "world", record.getMessage()))
