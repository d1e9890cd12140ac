"""A history as operations: each invocation with its end, found by what it was and by what it was about.

Places are positions in the history. An operation took effect somewhere between its `begun` and its `over`, if at all;
so `one.over < other.begun` is the only order of two operations that can be relied on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pavane.core.record import JobKind
from tests.checker.history import Entry

Job = tuple[str, str, JobKind]


@dataclass(slots=True, kw_only=True)
class Operation:
    """One operation. `over` is past every place if it never ended."""

    asked: Entry
    begun: int
    over: int
    ended: Entry | None = None

    @property
    def answer(self) -> str:
        """The class of the answer; empty if there was none, or only an error."""
        return self.ended.answer if self.ended is not None and self.ended.type == "ok" else ""

    @property
    def confirmed(self) -> bool:
        return self.ended is not None and self.ended.type == "ok"

    @property
    def failed(self) -> bool:
        """It surely did not happen."""
        return self.ended is not None and self.ended.type == "fail"

    @property
    def token(self) -> int:
        """Of the call, or granted by its answer."""
        return self.asked.token or (self.ended.token if self.ended is not None else 0)

    @property
    def rows(self) -> list[list[Any]]:
        """The outbox rows of the answer."""
        found: list[list[Any]] = self.said("rows", [])
        return found

    def said(self, name: str, default: Any = "") -> Any:
        """A detail of the answer."""
        return self.ended.detail.get(name, default) if self.ended is not None else default


class Operations:
    """All operations of a history, and what merely happened."""

    def __init__(self, history: Sequence[Entry]) -> None:
        self.length = len(history)
        self.places: dict[tuple[str, int], int] = {}
        self.happened: dict[str, list[tuple[int, Entry]]] = defaultdict(list)
        self._by_op: dict[str, list[Operation]] = defaultdict(list)
        self._by_job: dict[tuple[str, Job], list[Operation]] = defaultdict(list)
        asked: dict[tuple[str, int], Operation] = {}
        for place, entry in enumerate(history):
            key = entry.process, entry.seq
            self.places[key] = place
            if entry.type == "invoke":
                operation = asked[key] = Operation(asked=entry, begun=place, over=self.length)
                self._by_op[entry.op].append(operation)
                self._by_job[entry.op, entry.job].append(operation)
            elif invoked := asked.get((entry.process, entry.of)):
                invoked.ended = entry
                # What is not known to have ended may still happen: a lost call can be on its way for long.
                invoked.over = place if entry.type != "info" else self.length
            else:
                self.happened[entry.op].append((place, entry))

    def of(self, *ops: str, answers: Sequence[str] = ()) -> Iterator[Operation]:
        """The operations of these kinds, in the order in which they began; only those with such an answer."""
        for op in ops:
            for operation in self._by_op[op]:
                if not answers or operation.answer in answers:
                    yield operation

    def about(self, job: Job, *ops: str, answers: Sequence[str] = ()) -> list[Operation]:
        """The same of one job."""
        return [
            operation
            for op in ops
            for operation in self._by_job.get((op, job), ())
            if not answers or operation.answer in answers
        ]

    def first_of(self, operations: Iterable[Operation]) -> int:
        """Where the first of them began; past every place if there is none."""
        return min((operation.begun for operation in operations), default=self.length)
