"""Faults as a test orders them: each method returns at once, and acts on the next occasions."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from pavane.core.record import JobKind
from pavane.errors import UsageError
from pavane.model.event import Event
from pavane.runtime.crash_points import CrashPoint
from pavane.testing.faults import Faults, count
from pavane.testing.observed import ObservedBroker, ObservedStore
from pavane.testing.stage import Stage


class Sabotage:
    """What can go wrong on purpose."""

    def __init__(self, stage: Stage, faults: Faults, store: ObservedStore, broker: ObservedBroker) -> None:
        self._stage = stage
        self._faults = faults
        self._store = store
        self._broker = broker

    def fail(
        self, worker: str, error: Exception | type[Exception], *, times: int = 1, undo: bool = False
    ) -> None:
        """Let the next calls of a handler (or undo) raise `error`; the handler itself is not called.

        Orders given earlier are carried out first.

        Raises:
            UsageError: no such worker or undo, or a class of errors that needs more than a text.
        """
        self._faults.fail(self._stage.known(worker, undo=undo), "undo" if undo else "step", error, times)

    def crash(self, worker: str, after: CrashPoint, *, times: int = 1, undo: bool = False) -> None:
        """Kill the process right after a job of this worker (or its undo) passes this point.

        The whole process dies, with everything that runs in it, and a new one is started at once on the same
        store and broker. Running handlers are cancelled, since a task cannot be taken away, but what they do
        then reaches neither store nor broker. Lifespans are entered afresh; those of the dead process are left
        when the harness is.

        Raises:
            UsageError: no such worker, undo or point.
        """
        kind: JobKind = "undo" if undo else "step"
        self._faults.crash(self._stage.known(worker, undo=undo), kind, after, times)

    def duplicate(self, event: type[Event], *, times: int = 1) -> None:
        """Let the next events of this type reach each subscriber twice.

        Raises:
            UsageError: a class without a name.
        """
        if not event.event_name:
            raise UsageError(f"{event.__qualname__} has no name, so it is never published.")
        self._broker.duplicate(event.event_name, count(times))

    def replace(self, worker: str, handler: Callable[..., Any]) -> None:
        """Call `handler` (`async def` or not) instead of the worker's own from now on.

        Raises:
            UsageError: no such worker.
        """
        self._stage.replace(self._stage.known(worker), handler)

    def hold(self, worker: str) -> None:
        """Let no handler or undo of this worker begin until `release`: its jobs have their leases, and hang.

        Raises:
            UsageError: no such worker.
        """
        self._stage.hold(self._stage.known(worker))

    def release(self, worker: str) -> None:
        """Let those go on that `hold` keeps. Idempotent.

        Raises:
            UsageError: no such worker.
        """
        self._stage.release(self._stage.known(worker))

    @contextmanager
    def broker_down(self) -> Generator[None, None, None]:
        """The broker answers nobody in this block; what was not acknowledged comes back after it."""
        self._broker.down = True
        try:
            yield
        finally:
            self._broker.down = False

    @contextmanager
    def state_down(self) -> Generator[None, None, None]:
        """The state store answers nobody in this block."""
        self._store.down = True
        try:
            yield
        finally:
            self._store.down = False
