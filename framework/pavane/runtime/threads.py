"""Threads for plain `def` handlers.

A thread cannot be cancelled, so a handler that outlives its timeout, or its process's grace period, is left to
itself. The interpreter waits at its exit for the threads of `concurrent.futures`; these are daemons, which it
does not wait for: a handler that never ends must not keep a process that was asked to stop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Call = tuple[Future[Any], Callable[[], Any]]


class HandlerThreads(Executor):
    """Runs calls in up to `most` daemon threads, which are started when they are needed.

    Args:
        most: calls beyond that wait for a thread.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._stopped = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn` called. Only the event loop's thread submits."""
        if self._stopped:
            raise RuntimeError("the process is stopping: no handler begins any more")
        future: Future[T] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        if not self._idle.acquire(blocking=False) and self._started < self._most:
            self._started += 1
            name = f"pavane-handler-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = True) -> None:
        """Take no more calls and let idle threads end. Never waits; calls that wait for a thread are dropped."""
        self._stopped = True
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if not self._stopped and future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            del call, future, function  # what a handler was given must not live until the next one comes
            self._idle.release()
