"""Signals of a process that does nothing else than run workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def stop_signals() -> Generator[asyncio.Event, None, None]:
    """An event that SIGTERM or SIGINT sets; a second one of them ends the process at once."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def received(number: int) -> None:
        if stopped.is_set():
            os._exit(128 + number)
        stopped.set()

    for number in signals:
        loop.add_signal_handler(number, received, number)
    try:
        yield stopped
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
