"""`pavane.ports.Store` on Redis: puts the parts of this package together."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

import orjson

from pavane.adapters.redis import actions, documents, replies, rows
from pavane.adapters.redis.agreements import Agreements
from pavane.adapters.redis.audit import Audit
from pavane.adapters.redis.checks import check_server
from pavane.adapters.redis.documents import Blobs, Document
from pavane.adapters.redis.index import Index
from pavane.adapters.redis.keys import Keys
from pavane.adapters.redis.scripting import Library, load_library
from pavane.adapters.redis.server import Server
from pavane.core.answers import (
    ActionAnswer,
    BeginAnswer,
    CommitAnswer,
    Committed,
    Discarded,
    Edited,
    EmitAnswer,
    FailAnswer,
    Fenced,
    FileAnswer,
    HoldAnswer,
    Marked,
    Redriven,
    RejectAnswer,
    ReleaseAnswer,
    RenewAnswer,
    Started,
)
from pavane.core.calls import (
    Begin,
    Cancel,
    Commit,
    CommitUndo,
    Compensate,
    Discard,
    Edit,
    Emit,
    Fail,
    File,
    Hold,
    Mark,
    MoveDeadline,
    Pause,
    Redrive,
    Reject,
    Release,
    Renew,
    Resume,
    Skip,
    Start,
)
from pavane.core.limiting import Rate
from pavane.core.record import History, Record
from pavane.ports.store import (
    AUDIT_KEPT,
    AuditLine,
    FoundLetter,
    Handed,
    Place,
    Registration,
    RunQuery,
    Tick,
)

log = logging.getLogger(__name__)


class RedisStore:
    """See `pavane.ports.store.Store`.

    Args:
        url: `redis://` or `rediss://`, with credentials and database number where they are needed.
        namespace: prefix of every key.
        shards: into how many slots the records are spread; fixed for the life of the namespace.
        timeout: seconds until a call that was not answered raises `StateUnavailable`.
        strict: refuse a server that does not write each commit to its disk before it answers.
        first_contact: seconds that its first answer may take, if that is less than `timeout`.
        library: what runs on the server; for tests that move the clock.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        shards: int = 16,
        timeout: float = 5.0,
        strict: bool = False,
        first_contact: float = 5.0,
        library: Library | None = None,
    ) -> None:
        self._strict = strict
        self._keys = keys = Keys(namespace, shards)
        self._server = server = Server(
            url,
            keys=keys,
            shards=shards,
            timeout=timeout,
            first_contact=first_contact,
            library=library or load_library(),
        )
        self._index = Index(server)
        self._agreements = Agreements(server)
        self._audit = Audit(server)
        self._notify: Callable[[int, int], None] = ignore_due

    @property
    def shards(self) -> int:
        return self._server.shards

    async def open(self) -> None:
        await self._server.connect()
        await check_server(self._server, strict=self._strict)
        await self._server.give_scripts()
        await self._server.check_shards()

    async def close(self) -> None:
        await self._server.close()

    def on_due(self, notify: Callable[[int, int], None]) -> None:
        self._notify = notify

    async def initialised(self) -> bool:
        return await self._server.initialised()

    async def initialise(self) -> str:
        return await self._server.initialise()

    async def now(self) -> int:
        seconds, micros = await self._server.command(b"TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    # transitions

    async def start(self, call: Start) -> Started:
        answer: Started = await self._call("start", call, documents.start)
        return answer

    async def emit(self, call: Emit) -> EmitAnswer:
        answer: EmitAnswer = await self._call("emit", call, documents.emit)
        return answer

    async def begin(self, call: Begin) -> BeginAnswer:
        answer: BeginAnswer = await self._call("begin", call, documents.begin)
        return answer

    async def commit(self, call: Commit) -> CommitAnswer:
        answer: CommitAnswer = await self._call("commit", call, documents.commit)
        return answer

    async def commit_undo(self, call: CommitUndo) -> Committed | Fenced:
        answer: Committed | Fenced = await self._call("commit_undo", call, documents.commit_undo)
        return answer

    async def fail(self, call: Fail) -> FailAnswer:
        answer: FailAnswer = await self._call("fail", call, documents.fail)
        return answer

    async def release(self, call: Release) -> ReleaseAnswer:
        answer: ReleaseAnswer = await self._call("release", call, documents.release)
        return answer

    async def renew(self, call: Renew) -> RenewAnswer:
        answer: RenewAnswer = await self._call("renew", call, documents.renew)
        return answer

    async def reject(self, call: Reject) -> RejectAnswer:
        answer: RejectAnswer = await self._call("reject", call, documents.reject)
        return answer

    async def mark(self, call: Mark) -> Marked:
        await self.mark_all((call,))
        return Marked()

    async def mark_all(self, calls: Sequence[Mark]) -> None:
        shards: dict[int, list[Mark]] = defaultdict(list)
        for call in calls:
            shards[self._keys.shard(call.record)].append(call)
        if len(shards) == 1:
            [(shard, marks)] = shards.items()
            await self._mark(shard, marks)
        else:
            await asyncio.gather(*(self._mark(shard, marks) for shard, marks in shards.items()))

    async def _mark(self, shard: int, calls: Sequence[Mark]) -> None:
        document = {"subscribed": calls[0].subscribed, "marks": [documents.mark(call) for call in calls]}
        reply = await self._server.ask("mark", shard, self._keys.run(calls[0].record, shard), document)
        if reply[2]:
            self._notify(shard, reply[2])
        for record in orjson.loads(reply[1])["corrupt"] or ():
            log.error("the record of %s cannot be read: its keys in Redis are damaged", record)

    async def redrive(self, call: Redrive) -> Redriven:
        answer: Redriven = await self._call("redrive", call, documents.redrive)
        return answer

    async def discard(self, call: Discard) -> Discarded:
        answer: Discarded = await self._call("discard", call, documents.discard)
        return answer

    async def edit(self, call: Edit) -> Edited:
        answer: Edited = await self._call("edit", call, documents.edit)
        return answer

    async def file(self, call: File) -> FileAnswer:
        answer: FileAnswer = await self._call("file", call, documents.file)
        return answer

    async def cancel(self, call: Cancel) -> ActionAnswer:
        answer: ActionAnswer = await self._call("cancel", call, actions.cancel)
        return answer

    async def compensate(self, call: Compensate) -> ActionAnswer:
        answer: ActionAnswer = await self._call("compensate", call, actions.compensate)
        return answer

    async def pause(self, call: Pause) -> ActionAnswer:
        answer: ActionAnswer = await self._call("pause", call, actions.pause)
        return answer

    async def hold(self, call: Hold) -> HoldAnswer:
        answer: HoldAnswer = await self._call("hold", call, actions.hold)
        return answer

    async def resume(self, call: Resume) -> ActionAnswer:
        answer: ActionAnswer = await self._call("resume", call, actions.resume)
        return answer

    async def skip(self, call: Skip) -> ActionAnswer:
        answer: ActionAnswer = await self._call("skip", call, actions.skip)
        return answer

    async def move_deadline(self, call: MoveDeadline) -> ActionAnswer:
        answer: ActionAnswer = await self._call("move_deadline", call, actions.move_deadline)
        return answer

    async def _call(self, name: str, call: Any, document: Callable[[Any, Blobs], Document]) -> Any:
        blobs: Blobs = []
        shard = self._keys.shard(call.record)
        key = self._keys.run(call.record, shard)
        reply = await self._server.ask(name, shard, key, document(call, blobs), blobs)
        if reply[2]:
            self._notify(shard, reply[2])
        return replies.read(call, reply)

    async def tick(self, shard: int, *, limit: int = 100, subscribed: tuple[str, ...] = ()) -> Tick:
        reply = await self._server.ask(
            "tick", shard, self._keys.of_shard("due", shard), {"limit": limit, "subscribed": subscribed}
        )
        fields, blobs = orjson.loads(reply[1]), reply[3:]
        for record in fields["corrupt"] or ():
            log.error("the record of %s cannot be read: its keys in Redis are damaged", record)
        return Tick(
            rows=tuple(replies.publication(row["record"], row, blobs) for row in fields["rows"] or ()),
            next_due=fields["next_due"],
            now=fields["now"],
        )

    # reading

    async def read(self, record: str) -> Record | None:
        shard = self._keys.shard(record)
        reply = await self._server.ask("read", shard, self._keys.run(record, shard), {})
        return rows.record(*reply[1:]) if reply[0] == b"record" else None

    async def history(self, record: str, *, after: int = 0, limit: int = 1000) -> list[History]:
        return await self._index.history(record, after=after, limit=limit)

    async def runs(self, query: RunQuery, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        return await self._index.runs(query, after=after, limit=limit)

    async def letters(self, *, after: Place | None = None, limit: int = 100) -> list[Place]:
        return await self._index.letters(after=after, limit=limit)

    async def letter(self, letter_id: str, record: str = "") -> FoundLetter | None:
        key = record or await self._index.record_of(letter_id)
        found = await self.read(key) if key is not None else None
        if found is None or letter_id not in found.letters:
            return None
        return FoundLetter(record=found, letter=found.letters[letter_id])

    # the audit

    async def audit(self, line: AuditLine) -> None:
        await self._audit.add(line, kept=AUDIT_KEPT)

    async def audited(
        self, *, since: int = 0, after: Place | None = None, limit: int = 100
    ) -> list[AuditLine]:
        return await self._audit.lines(since=since, after=after, limit=limit)

    # what processes agree on

    async def claim(self, name: str, owner: str, duration: int) -> int:
        return await self._agreements.claim(name, owner, duration)

    async def disclaim(self, name: str, owner: str) -> None:
        await self._agreements.disclaim(name, owner)

    async def register(self, registration: Registration) -> None:
        await self._agreements.register(registration)

    async def registrations(self) -> Sequence[Registration]:
        return await self._agreements.registrations()

    async def take_turn(self, rate: Rate, job: str) -> int:
        return await self._agreements.take_turn(rate, job)

    async def give_back_turn(self, rate: Rate) -> None:
        await self._agreements.give_back_turn(rate)

    async def hand_over(self, service: str, rows: Collection[Handed]) -> None:
        await self._agreements.hand_over(service, rows)

    async def handed(self, services: Collection[str]) -> Sequence[Handed]:
        return await self._agreements.handed(services)

    async def remember(self, words: Collection[str]) -> None:
        await self._agreements.remember(words)

    async def remembered(self) -> frozenset[str]:
        return await self._agreements.remembered()

    async def forget(self, words: Collection[str]) -> None:
        await self._agreements.forget(words)


def ignore_due(shard: int, at: int) -> None:
    """Where nobody wants to know."""
