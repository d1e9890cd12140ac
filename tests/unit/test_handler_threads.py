"""Threads of plain `def` handlers: as many as are needed, no more than allowed, and never in the way of an exit."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import wait

import pytest

from pavane.runtime.threads import HandlerThreads


@pytest.fixture
def threads() -> HandlerThreads:
    return HandlerThreads(2)


def test_results_and_errors_come_back(threads: HandlerThreads) -> None:
    assert threads.submit(divmod, 7, 2).result(5) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.submit(divmod, 7, 0).result(5)
    threads.shutdown()


def test_no_more_calls_run_at_once_than_allowed(threads: HandlerThreads) -> None:
    gate, running = threading.Event(), threading.Semaphore(0)

    def call() -> bool:
        running.release()
        return gate.wait(5)

    futures = [threads.submit(call) for _ in range(5)]
    assert running.acquire(timeout=5)
    assert running.acquire(timeout=5)
    assert not running.acquire(blocking=False)
    assert sum(future.running() for future in futures) == 2
    gate.set()
    assert len(wait(futures, 5).done) == 5
    threads.shutdown()


def test_an_idle_thread_is_used_again(threads: HandlerThreads) -> None:
    names = {threads.submit(lambda: threading.current_thread().name).result(5) for _ in range(20)}
    assert len(names) <= 2
    threads.shutdown()


def test_after_the_shutdown_nothing_begins(threads: HandlerThreads) -> None:
    threads.shutdown()
    with pytest.raises(RuntimeError, match="stopping"):
        threads.submit(print)


def test_a_call_that_never_ends_does_not_keep_the_interpreter() -> None:
    program = (
        "import threading; from pavane.runtime.threads import HandlerThreads; t = HandlerThreads(1);"
        "begun = threading.Event(); t.submit(lambda: (begun.set(), threading.Event().wait()));"
        "assert begun.wait(5); t.shutdown()"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=20).returncode == 0
