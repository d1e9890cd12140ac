"""Several processes of workers under one: started together, stopped together.

The children have a session of their own, so that a Ctrl-C reaches them once, through their parent. If one
ends by itself, the others are stopped and its code is the answer: whoever supervises the parent starts anew.
If the parent is killed, its end of the children's standard input closes, and they stop by themselves.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

READY = b"ready"
LONGEST_LINE = 1 << 24


def run_processes(
    count: int, global_options: Sequence[str], app: str, only: Sequence[str], declare: str
) -> int:
    """Run `pavane run` that often; the first code that is not 0, else 0."""
    command = [sys.executable, "-m", "pavane.cli", *global_options, "run", app, "--declare", declare]
    command += ["--with-parent", *(f"--only={name}" for name in only)]
    return asyncio.run(_Herd(count, command).run())


def stop_with_parent() -> None:
    """In a child: stop, as if asked to, when standard input ends."""

    def wait() -> None:
        # Past Python's own buffer, whose lock a daemon thread would hold when the interpreter ends.
        while os.read(0, 1024):
            continue
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="pavane-parent", daemon=True).start()


class _Herd:
    def __init__(self, count: int, command: Sequence[str]) -> None:
        self._count = count
        self._command = command
        self._children: list[Process] = []
        self._ready = 0
        self._asked = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._forward, number)
        for _ in range(self._count):
            child = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stderr=PIPE, start_new_session=True, limit=LONGEST_LINE
            )
            self._children.append(child)
        ends = [asyncio.create_task(self._follow(child)) for child in self._children]
        first, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._stop_if_alone()
        # Those that are stopped because of it may end by the signal; that is not what went wrong.
        codes = [end.result() for end in first] + await asyncio.gather(*ends)
        return next((code if code > 0 else 128 - code for code in codes if code), 0)

    async def _follow(self, child: Process) -> int:
        """Pass on what a child says, but for `ready`: that is said once, when all are."""
        assert child.stderr is not None
        async for line in child.stderr:
            if line.strip() == READY:
                self._ready += 1
                if self._ready == self._count:
                    print("ready", file=sys.stderr, flush=True)
                continue
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
        return await child.wait()

    def _stop_if_alone(self) -> None:
        """One has ended. If nobody asked for that, the others are to end as well."""
        if not self._asked:
            self._forward(signal.SIGTERM)

    def _forward(self, number: int) -> None:
        self._asked = True
        for child in self._children:
            if child.returncode is None:
                child.send_signal(number)
