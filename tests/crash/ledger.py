"""The effects ledger: what handlers did to the world outside, kept where neither broker nor store can lose it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pavane import Context, UndoContext

VARIABLE = "PAVANE_TEST_LEDGER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing a handler did. `what` is `start` or `end`; `at` is seconds of the machine's monotonic clock."""

    worker: str
    what: str
    attempt: int
    key: str
    token: int
    event: str
    run: str
    pid: int
    at: float


def note(context: Context[None] | UndoContext[None], what: str) -> None:
    """Append one entry. One write of a short line to a file opened for appending is not torn."""
    kind = "undo:" if isinstance(context, UndoContext) else ""
    entry = Entry(
        worker=kind + context.worker,
        what=what,
        attempt=context.attempt,
        key=context.idempotency_key,
        token=context.fencing_token,
        event=context.event.id,
        run=context.run_id,
        pid=os.getpid(),
        at=time.monotonic(),
    )
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, json.dumps(asdict(entry)).encode() + b"\n")
    finally:
        os.close(file)


class Ledger:
    """Reads what was written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(
        self, worker: str | None = None, what: str | None = None, run: str | None = None
    ) -> list[Entry]:
        """Entries in the order they were written; only those of a worker, kind or run, if given."""
        if not self.path.exists():
            return []
        found = [Entry(**json.loads(line)) for line in self.path.read_text().splitlines()]
        return [
            entry
            for entry in found
            if worker in (None, entry.worker) and what in (None, entry.what) and run in (None, entry.run)
        ]

    def starts(self, worker: str | None = None, run: str | None = None) -> list[Entry]:
        return self.entries(worker, "start", run)

    def ends(self, worker: str | None = None, run: str | None = None) -> list[Entry]:
        return self.entries(worker, "end", run)
