"""What the store suite works with: a run, calls on it with what a test does not care about filled in."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from pavane.core.answers import (
    ActionAnswer,
    BeginAnswer,
    CommitAnswer,
    Committed,
    FailAnswer,
    Fenced,
    FileAnswer,
    Granted,
    HoldAnswer,
    RejectAnswer,
    Started,
)
from pavane.core.calls import (
    Begin,
    Cancel,
    Commit,
    CommitUndo,
    Compensate,
    CopyMark,
    Discard,
    Edit,
    Fail,
    File,
    Hold,
    Mark,
    MoveDeadline,
    Pause,
    Policy,
    Redrive,
    Reject,
    Resume,
    Skip,
    Start,
    Verdict,
)
from pavane.core.identity import emitted_id, letter_id, run_key, shard_of, skipped_id, step_id
from pavane.core.record import Contract, EventRow, History, JobKind, Letter, Record, UndoSpec
from pavane.ports.store import Store, Tick

HOUR = 3_600_000
SOON = 40
"""Milliseconds, for what a test waits for to run out."""


class StoreSuite:
    """What the parts of the suite share: how time passes for the store."""

    pytestmark = pytest.mark.asyncio

    async def pass_time(self, duration: int) -> None:
        """Let `duration` milliseconds pass on the store's clock."""
        await asyncio.sleep(duration / 1000)


def event(id_: str, name: str = "mid", payload: bytes = b'{"a":1}') -> EventRow:
    """An event; its payload need not be JSON, because the store never looks."""
    return EventRow(
        id=id_, name=name, version=1, time=1_767_225_600_000, payload=payload, producer="s.p", hops=2
    )


@dataclass
class Stage:
    """One run on a store, `flow:<run id>`, that `done` completes and `bad` fails."""

    store: Store
    run_id: str = "1"
    contract: Contract = field(
        default_factory=lambda: Contract(workflow="flow", completes=("done",), fails=("bad",))
    )
    subscribed: tuple[str, ...] = ()
    _numbers: Any = field(default_factory=count)

    @property
    def run(self) -> str:
        return run_key("flow", self.run_id)

    @property
    def first(self) -> EventRow:
        return event(f"start-{self.run_id}", "go")

    @classmethod
    async def built(cls, store: Store, run_id: str = "1", **contract: Any) -> Stage:
        """A stage whose run has started and whose starting event is published."""
        stage = cls(store, run_id)
        stage.contract = replace(stage.contract, **contract)
        await stage.start()
        await stage.mark(stage.first.id)
        return stage

    async def start(self, **changed: Any) -> Started:
        call = Start(
            record=self.run, run_id=self.run_id, contract=self.contract, event=self.first, digest="d"
        )
        return await self.store.start(replace(call, **changed))

    def job(self, worker: str = "s.w", received: EventRow | None = None) -> str:
        return step_id(worker, (received or self.first).id)

    async def begin(
        self, worker: str = "s.w", received: EventRow | None = None, **changed: Any
    ) -> BeginAnswer:
        received = received or self.first
        call = Begin(
            record=self.run,
            subscribed=self.subscribed,
            step=step_id(worker, received.id),
            worker=worker,
            event=received,
            begin_id=f"begin-{next(self._numbers)}",
            host="here",
            lease=HOUR,
        )
        return await self.store.begin(replace(call, **changed))

    async def granted(self, worker: str = "s.w", received: EventRow | None = None, **changed: Any) -> Granted:
        """A begin that must be granted."""
        answer = await self.begin(worker, received, **changed)
        assert isinstance(answer, Granted), answer
        return answer

    async def begin_undo(self, step: str, **changed: Any) -> BeginAnswer:
        return await self.begin(step=step, worker=step.partition(":")[0], kind="undo", event=None, **changed)

    async def commit(self, step: str, token: int, *names: str, **changed: Any) -> CommitAnswer:
        """Commit with one event per name; the first is the result."""
        events = self.emitted(step, *names)
        call = Commit(
            record=self.run,
            subscribed=self.subscribed,
            step=step,
            token=token,
            events=events,
            result=events[0].id if events else "",
        )
        return await self.store.commit(replace(call, **changed))

    def emitted(self, step: str, *names: str) -> tuple[EventRow, ...]:
        return tuple(event(emitted_id(self.run, step, i), name) for i, name in enumerate(names))

    async def done(
        self,
        worker: str,
        *names: str,
        undo: UndoSpec | None = None,
        received: EventRow | None = None,
        lease: int = HOUR,
        publish: bool = True,
    ) -> Committed:
        """Begin and commit a step, and mark what it emitted."""
        grant = await self.granted(worker, received, compensation=undo, lease=lease)
        answer = await self.commit(self.job(worker, received), grant.token, *names)
        assert isinstance(answer, Committed), answer
        if publish:
            await self.mark(*(row.row for row in answer.rows))
        return answer

    async def commit_undo(self, step: str, token: int) -> Committed | Fenced:
        return await self.store.commit_undo(
            CommitUndo(record=self.run, subscribed=self.subscribed, step=step, token=token)
        )

    async def undone(self, step: str) -> Committed:
        """Begin and commit an undo."""
        grant = await self.begin_undo(step)
        assert isinstance(grant, Granted), grant
        answer = await self.commit_undo(step, grant.token)
        assert isinstance(answer, Committed), answer
        return answer

    async def fail(self, step: str, token: int, **changed: Any) -> FailAnswer:
        call = Fail(
            record=self.run,
            subscribed=self.subscribed,
            step=step,
            token=token,
            outcome="failed",
            error="boom",
            error_type="ValueError",
            delay=HOUR,
        )
        return await self.store.fail(replace(call, **changed))

    def verdict(self, step: str, policy: Policy = "stall", kind: JobKind = "step") -> Verdict:
        letter = Letter(
            id=letter_id(self.run, step, kind),
            kind=kind,
            step=step,
            worker=step.partition(":")[0],
            event="go",
            reason="attempts",
            error="boom",
            error_type="ValueError",
            headers=(("a", "b"),),
        )
        answer = event(f"{step}/answer", "mid") if policy == "answer" else None
        return Verdict(letter=letter, policy=policy, answer=answer)

    async def dead(self, worker: str = "s.w", policy: Policy = "stall", **changed: Any) -> FailAnswer:
        """Begin a job and have it dead-lettered."""
        grant = await self.granted(worker, **changed)
        step = self.job(worker)
        return await self.fail(step, grant.token, max_attempts=1, verdict=self.verdict(step, policy))

    async def reject(self, step: str, **changed: Any) -> RejectAnswer:
        call = Reject(
            record=self.run,
            subscribed=self.subscribed,
            step=step,
            worker=step.partition(":")[0],
            event=self.first,
            verdict=self.verdict(step),
        )
        return await self.store.reject(replace(call, **changed))

    async def mark(self, *rows: str, **changed: Any) -> None:
        await self.store.mark(
            replace(Mark(record=self.run, subscribed=self.subscribed, rows=rows), **changed)
        )

    async def mark_copy(self, step: str, generation: int, kind: JobKind = "step") -> None:
        await self.mark(copies=(CopyMark(step=step, kind=kind, generation=generation),))

    def redrive(self, step: str, generation: int, **changed: Any) -> Redrive:
        call = Redrive(
            record=self.run,
            letter=letter_id(self.run, step, "step"),
            step=step,
            kind="step",
            generation=generation,
            pass_id="pass",
            by="operator-1",
            reason="mended",
        )
        return replace(call, **changed)

    def discard(self, step: str, generation: int, **changed: Any) -> Discard:
        call = Discard(
            record=self.run,
            letter=letter_id(self.run, step, "step"),
            step=step,
            kind="step",
            generation=generation,
            by="operator-1",
        )
        return replace(call, **changed)

    async def cancel(self, request: str = "request", *, undo: bool = True) -> ActionAnswer:
        return await self.store.cancel(
            Cancel(
                record=self.run,
                subscribed=self.subscribed,
                request=request,
                undo=undo,
                by="operator-1",
                reason="wrong order",
            )
        )

    async def compensate(self, request: str = "request") -> ActionAnswer:
        return await self.store.compensate(
            Compensate(
                record=self.run,
                subscribed=self.subscribed,
                request=request,
                by="operator-1",
                reason="given up",
            )
        )

    async def pause(self, reason: str = "bank is down") -> ActionAnswer:
        return await self.store.pause(Pause(record=self.run, by="operator-1", reason=reason))

    async def hold(self, worker: str = "s.w", received: EventRow | None = None, **changed: Any) -> HoldAnswer:
        received = received or self.first
        call = Hold(record=self.run, step=step_id(worker, received.id), worker=worker, event=received)
        return await self.store.hold(replace(call, **changed))

    async def resume(self) -> ActionAnswer:
        return await self.store.resume(Resume(record=self.run, by="operator-2"))

    async def skip(self, step: str, name: str = "mid") -> ActionAnswer:
        call = Skip(
            record=self.run,
            subscribed=self.subscribed,
            step=step,
            event=self.instead(step, name),
            by="operator-1",
            reason="by hand",
        )
        return await self.store.skip(call)

    def instead(self, step: str, name: str) -> EventRow:
        """What `skip` commits instead of a step."""
        return event(skipped_id(self.run, step, name, b"{}"), name, b"{}")

    async def move_deadline(self, at: int) -> ActionAnswer:
        return await self.store.move_deadline(
            MoveDeadline(record=self.run, at=at, by="operator-1", reason="holidays")
        )

    def edit(self, step: str, generation: int) -> Edit:
        return Edit(
            record=self.run,
            letter=letter_id(self.run, step, "step"),
            step=step,
            generation=generation,
            event=replace(event("mended", self.first.name), causation=self.first.id),
            by="operator-1",
            reason="mistyped",
        )

    async def file(self, step: str, generation: int, **changed: Any) -> FileAnswer:
        """List a letter as its message would have it listed."""
        call = File(
            record=self.run,
            subscribed=self.subscribed,
            step=step,
            worker=step.partition(":")[0],
            generation=generation,
            letter=self.verdict(step).letter,
            event=self.first,
            by="operator-1",
            reason="Redis was restored",
        )
        return await self.store.file(replace(call, **changed))

    async def tick(self) -> Tick:
        """Review what is due where the run lives."""
        shard = shard_of(self.run, self.store.shards)
        return await self.store.tick(shard, subscribed=self.subscribed)

    async def read(self) -> Record:
        record = await self.store.read(self.run)
        assert record is not None
        return record

    async def phase(self) -> str:
        return (await self.read()).head.phase

    async def history(self) -> list[History]:
        return await self.store.history(self.run)

    async def told(self) -> list[str]:
        """The kinds of the run's history, in order."""
        return [line.kind for line in await self.history()]
