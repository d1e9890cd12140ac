"""A thread that notices when a handler blocks the event loop, and logs where it hangs.

A blocked loop renews no lease, so after the lease another process takes the job and this one's commit is
fenced. Without the watchdog nobody would learn why.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from typing import Protocol

PATIENCE = 5.0
"""Seconds after which a loop that does not answer counts as blocked."""

log = logging.getLogger("pavane")


class Watch(Protocol):
    """Whom attempts tell that a handler runs."""

    def handler_started(self) -> None: ...

    def handler_ended(self) -> None: ...

    def stop(self) -> None:
        """Watch no more. Idempotent."""
        ...


class Watchdog:
    """Watches one event loop while handlers run on it; sleeps, without waking up, while none does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, patience: float = PATIENCE) -> None:
        self._loop = loop
        self._patience = patience
        self._thread_id = threading.get_ident()
        self._handlers = 0
        self._busy = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pavane-watchdog", daemon=True)
        self._thread.start()

    def handler_started(self) -> None:
        self._handlers += 1
        if self._handlers == 1:
            self._busy.set()

    def handler_ended(self) -> None:
        self._handlers -= 1
        if self._handlers == 0:
            self._busy.clear()

    def stop(self) -> None:
        """Have the thread end. Idempotent. It is not waited for: it may just be waiting for this very loop."""
        self._stopped.set()
        self._busy.set()

    def _watch(self) -> None:
        while self._busy.wait() and not self._stopped.is_set():
            answered = threading.Event()
            try:
                self._loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not answered.wait(self._patience) and not self._stopped.is_set():
                self._report()
                while not answered.wait(self._patience):
                    if self._stopped.is_set():
                        return
                log.warning("the event loop answers again")
            self._stopped.wait(self._patience)

    def _report(self) -> None:
        frame = sys._current_frames().get(self._thread_id)  # pyright: ignore[reportPrivateUsage]
        stack = "".join(traceback.format_stack(frame)) if frame else "(its thread is gone)"
        log.error(
            "The event loop has been blocked for %.1f s: no lease is renewed, so other processes take "
            "this one's jobs. Use `await` or a plain `def` handler. It hangs here:\n%s",
            self._patience,
            stack,
        )
