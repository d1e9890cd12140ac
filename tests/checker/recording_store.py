"""A store that notes every transition it is asked for, with the answer; what processes agree on is passed through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.limiting import Rate
from pavane.core.record import History as Line
from pavane.core.record import Record
from pavane.errors import StateLost
from pavane.ports.store import (
    AuditLine,
    FoundLetter,
    Handed,
    Place,
    Registration,
    RunQuery,
    Store,
    Tick,
)
from tests.checker import facts
from tests.checker.history import History
from tests.checker.recorder import Recorder

C = TypeVar("C", bound=c.Call)
A = TypeVar("A")


class RecordingStore:
    """`pavane.ports.Store` over another one.

    Args:
        process: whose calls these are, as the history shall name it.
    """

    def __init__(self, store: Store, history: History, process: str = "") -> None:
        self._store = store
        self._recorder = Recorder(history, process, surely=(StateLost,))

    async def _call(self, op: str, call: C, ask: Callable[[C], Awaitable[A]]) -> A:
        return await self._recorder.operation(op, facts.of_call(call), lambda: ask(call), facts.of_answer)

    # transitions

    async def start(self, call: c.Start) -> a.Started:
        return await self._call("start", call, self._store.start)

    async def emit(self, call: c.Emit) -> a.EmitAnswer:
        return await self._call("emit", call, self._store.emit)

    async def begin(self, call: c.Begin) -> a.BeginAnswer:
        return await self._call("begin", call, self._store.begin)

    async def commit(self, call: c.Commit) -> a.CommitAnswer:
        return await self._call("commit", call, self._store.commit)

    async def commit_undo(self, call: c.CommitUndo) -> a.Committed | a.Fenced:
        return await self._recorder.operation(
            "commit_undo",
            facts.of_call(call) | {"kind": "undo"},
            lambda: self._store.commit_undo(call),
            facts.of_answer,
        )

    async def fail(self, call: c.Fail) -> a.FailAnswer:
        return await self._call("fail", call, self._store.fail)

    async def release(self, call: c.Release) -> a.ReleaseAnswer:
        return await self._call("release", call, self._store.release)

    async def renew(self, call: c.Renew) -> a.RenewAnswer:
        return await self._call("renew", call, self._store.renew)

    async def reject(self, call: c.Reject) -> a.RejectAnswer:
        return await self._call("reject", call, self._store.reject)

    async def mark(self, call: c.Mark) -> a.Marked:
        return await self._call("mark", call, self._store.mark)

    async def mark_all(self, calls: Sequence[c.Mark]) -> None:
        invoked = [self._recorder.note("invoke", "mark", facts.of_call(call)) for call in calls]
        try:
            await self._store.mark_all(calls)
        except BaseException as error:
            for entry in invoked:
                self._recorder.fail(entry, error)
            raise
        for entry in invoked:
            self._recorder.end("ok", entry, {"answer": "Marked"})

    async def redrive(self, call: c.Redrive) -> a.Redriven:
        return await self._call("redrive", call, self._store.redrive)

    async def discard(self, call: c.Discard) -> a.Discarded:
        return await self._call("discard", call, self._store.discard)

    async def file(self, call: c.File) -> a.FileAnswer:
        return await self._call("file", call, self._store.file)

    async def edit(self, call: c.Edit) -> a.Edited:
        return await self._call("edit", call, self._store.edit)

    async def cancel(self, call: c.Cancel) -> a.ActionAnswer:
        return await self._call("cancel", call, self._store.cancel)

    async def compensate(self, call: c.Compensate) -> a.ActionAnswer:
        return await self._call("compensate", call, self._store.compensate)

    async def pause(self, call: c.Pause) -> a.ActionAnswer:
        return await self._call("pause", call, self._store.pause)

    async def hold(self, call: c.Hold) -> a.HoldAnswer:
        return await self._call("hold", call, self._store.hold)

    async def resume(self, call: c.Resume) -> a.ActionAnswer:
        return await self._call("resume", call, self._store.resume)

    async def skip(self, call: c.Skip) -> a.ActionAnswer:
        return await self._call("skip", call, self._store.skip)

    async def move_deadline(self, call: c.MoveDeadline) -> a.ActionAnswer:
        return await self._call("move_deadline", call, self._store.move_deadline)

    async def tick(self, shard: int, *, limit: int = 100, subscribed: tuple[str, ...] = ()) -> Tick:
        return await self._recorder.operation(
            "tick",
            {"detail": {"shard": shard}},
            lambda: self._store.tick(shard, limit=limit, subscribed=subscribed),
            facts.of_tick,
        )

    async def take_turn(self, rate: Rate, job: str) -> int:
        return await self._recorder.operation(
            "take_turn",
            {"step": job.rpartition("/")[0], "detail": {"limiter": rate.limiter}},
            lambda: self._store.take_turn(rate, job),
            facts.of_turn,
        )

    async def hand_over(self, service: str, rows: Collection[Handed]) -> None:
        await self._recorder.operation(
            "hand_over",
            {"detail": {"service": service, "rows": [[one.record, one.row] for one in rows]}},
            lambda: self._store.hand_over(service, rows),
            facts.of_nothing,
        )

    # reading

    async def read(self, record: str) -> Record | None:
        return await self._recorder.operation(
            "read", {"record": record}, lambda: self._store.read(record), facts.of_record
        )

    async def history(self, record: str, *, after: int = 0, limit: int = 1000) -> list[Line]:
        return await self._store.history(record, after=after, limit=limit)

    async def runs(self, query: RunQuery, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        return await self._store.runs(query, after=after, limit=limit)

    async def letters(self, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        return await self._store.letters(after=after, limit=limit)

    async def letter(self, letter_id: str, record: str = "") -> FoundLetter | None:
        return await self._store.letter(letter_id, record)

    async def audited(
        self, *, since: int = 0, after: Place | None = None, limit: int = 100
    ) -> list[AuditLine]:
        return await self._store.audited(since=since, after=after, limit=limit)

    # what is passed through

    @property
    def shards(self) -> int:
        return self._store.shards

    async def open(self) -> None:
        await self._store.open()

    async def close(self) -> None:
        await self._store.close()

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        self._store.on_due(notify)

    async def initialised(self) -> bool:
        return await self._store.initialised()

    async def initialise(self) -> str:
        return await self._store.initialise()

    async def now(self) -> int:
        return await self._store.now()

    async def claim(self, name: str, owner: str, duration: int) -> int:
        return await self._store.claim(name, owner, duration)

    async def disclaim(self, name: str, owner: str) -> None:
        await self._store.disclaim(name, owner)

    async def register(self, registration: Registration) -> None:
        await self._store.register(registration)

    async def registrations(self) -> Sequence[Registration]:
        return await self._store.registrations()

    async def audit(self, line: AuditLine) -> None:
        await self._store.audit(line)

    async def give_back_turn(self, rate: Rate) -> None:
        await self._store.give_back_turn(rate)

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        return await self._store.handed(services)

    async def remember(self, words: Collection[str]) -> None:
        await self._store.remember(words)

    async def remembered(self) -> frozenset[str]:
        return await self._store.remembered()

    async def forget(self, words: Collection[str]) -> None:
        await self._store.forget(words)
