"""Marks: a line when a handler begins and one when it ends, kept where a SIGKILL cannot reach them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pavane import Context, UndoContext
from pavane.model.definition import WorkerDefinition

VARIABLE = "PAVANE_TEST_MARKS"
"""Names the file of a process."""

BEGAN, ENDED = "+", "-"


class Marks:
    """Writes marks. One write of a short line to a file opened for appending is not torn."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def around(self, worker: WorkerDefinition) -> WorkerDefinition:
        """The same worker, its handler and its undo leaving marks."""
        undo = worker.compensation
        assert worker.is_async, worker.full_name
        assert undo is None or undo.is_async, worker.full_name
        return replace(
            worker,
            handler=self._around(worker.handler, ""),
            compensation=undo and replace(undo, undo=self._around(undo.undo, "undo:")),
        )

    def _around(self, handler: Callable[..., Any], kind: str) -> Callable[..., Any]:
        async def marked(ctx: Context[Any] | UndoContext[Any], *events: Any) -> Any:
            job = f"{kind}{ctx.worker} {ctx.idempotency_key}"
            os.write(self._file, f"{BEGAN} {job}\n".encode())
            try:
                return await handler(ctx, *events)
            finally:
                os.write(self._file, f"{ENDED} {job}\n".encode())

        return marked


def inside(file: Path) -> list[str]:
    """Jobs whose handlers had begun and not ended when the process of this file died."""
    marks = Counter[str]()
    for line in file.read_text().splitlines() if file.exists() else ():
        what, _, job = line.partition(" ")
        marks[job] += 1 if what == BEGAN else -1
    return sorted(marks.elements())
