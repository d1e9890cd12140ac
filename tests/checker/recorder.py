"""How one operation becomes two entries of a history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.checker.history import Entry, History, Type

A = TypeVar("A")
Facts = dict[str, Any]


class Recorder:
    """Notes the operations of one process.

    Args:
        process: as the history shall name it; empty: as the history itself is named.
        surely: errors that say that nothing has happened. After any other the outcome is unknown.
    """

    def __init__(self, history: History, process: str, surely: tuple[type[BaseException], ...] = ()) -> None:
        self._history = history
        self._process = process or history.process
        self._surely = surely

    def note(self, type: Type, op: str, facts: Facts, *, of: int = 0) -> Entry:
        """Add one entry."""
        return self._history.note(type, op, process=self._process, of=of, **facts)

    def end(self, type: Type, invoked: Entry, told: Facts) -> None:
        """End an operation. Its job is said again, its details are those of the answer alone."""
        about = {"record": invoked.record, "worker": invoked.worker, "step": invoked.step}
        also = {"kind": invoked.kind, "token": invoked.token, "generation": invoked.generation}
        event = {"event": invoked.event, "payload": invoked.payload}
        self.note(type, invoked.op, about | also | event | told, of=invoked.seq)

    def fail(self, invoked: Entry, error: BaseException) -> None:
        """End an operation that raised: it failed, or nobody knows."""
        self.end(
            "fail" if isinstance(error, self._surely) else "info",
            invoked,
            {"answer": type(error).__name__, "detail": {"error": str(error)[:200]}},
        )

    async def operation(
        self, op: str, facts: Facts, run: Callable[[], Awaitable[A]], tell: Callable[[A], Facts]
    ) -> A:
        """Run it between an `invoke` and its end; `tell` says what there is to note of an answer."""
        invoked = self.note("invoke", op, facts)
        try:
            answer = await run()
        except BaseException as error:  # a cancelled call may have arrived all the same
            self.fail(invoked, error)
            raise
        self.end("ok", invoked, tell(answer))
        return answer
