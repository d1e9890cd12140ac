"""Between the runtime and users' handlers: who runs now, who is held, who is replaced or made to fail.

A plain `def` handler runs in a thread, as in production, but the event loop stands still meanwhile, at most
for the harness's patience: so nothing happens beside it, and the order of events stays the same.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pavane.core.record import JobKind
from pavane.errors import UsageError
from pavane.model.definition import WorkerDefinition
from pavane.testing.faults import Faults

Handler = Callable[..., Any]


@dataclass(eq=False, slots=True, kw_only=True)
class Running:
    """A call of a handler that has not ended. `since` is real time, in seconds of the monotonic clock."""

    worker: str
    kind: JobKind
    handler: str
    held: bool = False
    since: float = field(default_factory=time.monotonic)
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __str__(self) -> str:
        return f"{'the undo of ' if self.kind == 'undo' else ''}{self.worker} ({self.handler})"


class Stage:
    """Where handlers are called.

    Attributes:
        workers: the definitions, their handlers staged here.
        called: how many calls there were.
    """

    def __init__(self, workers: Sequence[WorkerDefinition], faults: Faults, patience: float) -> None:
        self.called = 0
        self._faults = faults
        self._patience = patience
        self._originals = {worker.full_name: worker for worker in workers}
        self._replaced: dict[str, Handler] = {}
        self._held: dict[str, asyncio.Event] = {}
        self._running: dict[Running, None] = {}
        self.workers = tuple(self._stage(worker) for worker in workers)

    @property
    def running(self) -> list[Running]:
        """Calls that go on by themselves: not those that are held."""
        return [call for call in self._running if not call.held]

    def forget(self) -> list[asyncio.Future[None]]:
        """The process is dead: what its handlers still do concerns nobody. Returns what ends with them."""
        gone, self._running = self._running, {}
        return [call.ended for call in gone]

    def known(self, worker: str, *, undo: bool = False) -> str:
        """The worker's name, if there is such a worker (with an undo).

        Raises:
            UsageError: there is none.
        """
        definition = self._originals.get(worker)
        if definition is None:
            known = ", ".join(self._originals)
            raise UsageError(f"{worker!a:.200} is no worker of this app.", remedy=f"Workers: {known}.")
        if undo and definition.compensation is None:
            raise UsageError(f"{worker} has no compensate_with, so there is no undo.")
        return worker

    def replace(self, worker: str, handler: Handler) -> None:
        self._replaced[worker] = handler

    def hold(self, worker: str) -> None:
        self._held.setdefault(worker, asyncio.Event())

    def release(self, worker: str) -> None:
        held = self._held.pop(worker, None)
        if held is not None:
            held.set()

    # calling

    def _stage(self, worker: WorkerDefinition) -> WorkerDefinition:
        undo = worker.compensation
        return replace(
            worker,
            handler=self._staged(worker.full_name, "step", worker.handler, worker.is_async),
            is_async=True,
            compensation=undo
            and replace(
                undo, undo=self._staged(worker.full_name, "undo", undo.undo, undo.is_async), is_async=True
            ),
        )

    def _staged(self, worker: str, kind: JobKind, original: Handler, is_async: bool) -> Handler:
        async def call(*arguments: Any) -> Any:
            replaced = self._replaced.get(worker) if kind == "step" else None
            with self._noted(worker, kind, replaced or original) as running:
                await self._while_held(running)
                error = self._faults.error(worker, kind)
                if error is not None:
                    raise error.with_traceback(None)
                handler = (self._replaced.get(worker) if kind == "step" else None) or original
                on_loop = is_async if handler is original else inspect.iscoroutinefunction(handler)
                result = handler(*arguments) if on_loop else await self._in_thread(handler, arguments)
                return await result if inspect.isawaitable(result) else result

        return call

    @contextmanager
    def _noted(self, worker: str, kind: JobKind, handler: Handler) -> Generator[Running, None, None]:
        name = getattr(handler, "__qualname__", type(handler).__name__)
        running = Running(worker=worker, kind=kind, handler=name)
        self.called += 1
        self._running[running] = None
        try:
            yield running
        finally:
            self._running.pop(running, None)
            running.ended.set_result(None)

    async def _while_held(self, running: Running) -> None:
        while held := self._held.get(running.worker):
            running.held = True
            await held.wait()
            running.held = False
            running.since = time.monotonic()

    def _in_thread(self, handler: Handler, arguments: tuple[Any, ...]) -> Awaitable[Any]:
        """Call it in a thread of its own, which a hanging handler may keep: nobody waits for it at the end."""
        result: Future[Any] = Future()
        result.set_running_or_notify_cancel()
        threading.Thread(
            target=run_into, args=(result, handler, arguments), name="pavane-handler", daemon=True
        ).start()
        wait([result], timeout=self._patience)
        return asyncio.wrap_future(result)


def run_into(result: Future[Any], handler: Handler, arguments: tuple[Any, ...]) -> None:
    try:
        result.set_result(handler(*arguments))
    except BaseException as error:
        result.set_exception(error)
