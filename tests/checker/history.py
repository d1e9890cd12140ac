"""What happened, as those who took part saw it: who asked for what, and how it ended, in one order.

An operation is two entries: `invoke`, and its end, which names the invocation in `of`. It ended `ok`, it `fail`ed
(it surely did not happen), or nobody knows (`info`): no answer came, or whoever waited for it was gone. An invocation
without an end is of unknown outcome too: its process was killed. What merely happens (a delivery, an acknowledgement,
a fault) is one entry, `ok`.

`op` is one of

    start emit begin commit commit_undo fail release renew reject mark redrive discard edit cancel compensate pause
    hold resume skip move_deadline tick read          calls of the store; `record`, `step`, `kind` say of what
    publish deliver ack                               the broker; the end of a publish is its confirm
    handler                                           a handler, or with kind `undo` an undo, from start to end
    process                                           `detail.what` is `started`, `stopped` or `killed`
    nemesis                                           a fault from `invoke` to `ok`; `detail.what` names its kind
    crash                                             a process died at the crash point `detail.point`

Times are nanoseconds of one clock that all processes share: virtual ones in a simulation, else the machine's
monotonic clock. A history in memory is shared by all simulated processes; real ones write a file each.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pavane.core.record import JobKind

Type = Literal["invoke", "ok", "fail", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a history.

    Attributes:
        at: nanoseconds.
        seq: grows within one history; `of` is that of the invocation which this entry ends (0: it ends none).
        record: key of the record: a run's full name, or `~` and an event id.
        worker, step, kind: the job, as in `core.record`.
        event: id of the event that it is about.
        payload: `identity.digest` of its payload.
        answer: the class of the answer, or of the error.
        detail: what else the operation says; its keys are with whoever records it (`recording`). JSON values.
    """

    at: int
    process: str
    seq: int
    type: Type
    op: str
    of: int = 0
    record: str = ""
    worker: str = ""
    step: str = ""
    kind: JobKind = "step"
    attempt: int = 0
    token: int = 0
    generation: int = 0
    event: str = ""
    payload: str = ""
    answer: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def job(self) -> tuple[str, str, JobKind]:
        """Which job of which record it is about."""
        return self.record, self.step, self.kind

    @property
    def what(self) -> str:
        return str(self.detail.get("what", ""))


class History:
    """Entries in the order in which they were noted, in memory, or one JSON line each in a file.

    Args:
        process: whose entries they are, where `note` is not told.
        now: nanoseconds; `None`: the machine's monotonic clock.
        file: written to, and nothing is kept in memory. Opened for appending, one write for each line: what was
            noted is there even if the process is killed right after.
    """

    def __init__(
        self, process: str = "", *, now: Callable[[], int] | None = None, file: Path | None = None
    ) -> None:
        self.process = process or str(os.getpid())
        self.now = now or time.monotonic_ns
        self._entries: list[Entry] = []
        self._seq = 0
        self._lock = threading.Lock()  # plain handlers note from threads
        self._file = None if file is None else os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    @classmethod
    def in_folder(cls, folder: Path, process: str = "") -> History:
        """The history of this process, in a file of its own."""
        name = process or "process"
        return cls(f"{name}-{os.getpid()}", file=folder / f"{name}-{os.getpid()}.jsonl")

    def note(self, type: Type, op: str, *, process: str = "", **said: Any) -> Entry:
        """Add an entry; `said` are its other fields."""
        with self._lock:
            self._seq += 1
            entry = Entry(
                at=self.now(), process=process or self.process, seq=self._seq, type=type, op=op, **said
            )
            if self._file is None:
                self._entries.append(entry)
            else:
                os.write(self._file, json.dumps(sparse(entry), separators=(",", ":")).encode() + b"\n")
        return entry

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries; of a history in a file, none."""
        return tuple(self._entries)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def sparse(entry: Entry) -> dict[str, Any]:
    """What is not as usual: a history of chaos has a million lines."""
    return {name: value for name, value in asdict(entry).items() if value not in ("", 0, {}, "step")}


def read_folder(folder: Path) -> tuple[Entry, ...]:
    """The histories of all processes that wrote into a folder, merged by time."""
    found = [entry for file in sorted(folder.glob("*.jsonl")) for entry in read_file(file)]
    return merged(found)


def read_file(file: Path) -> Iterator[Entry]:
    """The entries of one file. A last line that is torn was never noted: the disk was full, or the machine died.

    Raises:
        ValueError: another line is no entry.
    """
    lines = file.read_bytes().split(b"\n")
    for line in lines[:-1]:
        yield Entry(**json.loads(line))


def merged(entries: list[Entry]) -> tuple[Entry, ...]:
    """In the order of time; what one process noted stays in its order."""
    return tuple(sorted(entries, key=lambda entry: (entry.at, entry.seq, entry.process)))
