"""One record and a clock that tests move: calls are made by name, with defaults that no test cares about."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from pavane.core import agenda, begin, compensation, letters, run, step
from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.record import Contract, EventRow, JobKind, Letter, Record, StepRow, UndoSpec, Work

RUN = "order:1"
NOW = 1_000_000
LEASE = 30_000
CONTRACT = Contract(workflow="order", completes=("order.confirmed",), fails=("order.rejected",))
UNDO = UndoSpec(uncertain=True)

T = TypeVar("T")


def event(id_: str, name: str = "") -> EventRow:
    """An event; its name is its id unless the test says otherwise."""
    return EventRow(id=id_, name=name or id_, version=1, time=NOW, payload=b"{}", producer="shop.till")


def letter(step_: str, kind: str = "step", reason: str = "attempts", event_id: str = "start") -> Letter:
    worker = step_.partition(":")[0]
    return Letter(
        id=f"letter/{kind}/{step_}",
        kind=kind,  # type: ignore[arg-type]
        step=step_,
        worker=worker,
        event=event_id,
        reason=reason,
        error="boom",
        error_type="ValueError",
    )


def verdict(
    step_: str,
    policy: c.Policy = "stall",
    *,
    kind: JobKind = "step",
    answer: EventRow | None = None,
    reason: str = "attempts",
) -> c.Verdict:
    return c.Verdict(letter=letter(step_, kind, reason), policy=policy, answer=answer)


class World:
    """Applies calls to one record and keeps what comes back."""

    def __init__(
        self, *, contract: Contract = CONTRACT, key: str = RUN, subscribed: tuple[str, ...] = ()
    ) -> None:
        self.key = key
        self.now = NOW
        self.contract = contract
        self.subscribed = subscribed
        self.record: Record | None = None
        self._begins = itertools.count(1)

    def apply(self, transition: Callable[..., tuple[Record | None, T]], call: c.Call) -> T:
        before = self.record.fork() if self.record else None
        kept = self.record
        self.record, answer = transition(self.record, call, self.now)
        assert kept is None or kept == before, "a transition has written on the record it was given"
        return answer

    @property
    def live(self) -> Record:
        assert self.record is not None
        return self.record

    def row(self, step_: str) -> StepRow:
        return self.live.steps[step_]

    def work(self, step_: str, kind: JobKind = "step") -> Work:
        found = self.row(step_).of(kind)
        assert found is not None
        return found

    def kinds(self) -> list[str]:
        return [line.kind for line in self.live.history]

    # calls

    def start(self, id_: str = "start", digest: str = "d") -> a.Started:
        return self.apply(
            run.start,
            c.Start(
                record=self.key,
                subscribed=self.subscribed,
                run_id="1",
                contract=self.contract,
                event=event(id_),
                digest=digest,
            ),
        )

    def emit(self, event_: EventRow) -> a.EmitAnswer:
        return self.apply(run.emit, c.Emit(record=self.key, subscribed=self.subscribed, event=event_))

    def begin(self, step_: str, **given: Any) -> a.BeginAnswer:
        """`step_` is `<worker>:<event id>`; the event is delivered under its id as name."""
        worker, _, event_id = step_.partition(":")
        given.setdefault("event", event(event_id) if given.get("kind", "step") == "step" else None)
        given.setdefault("begin_id", f"delivery {next(self._begins)}")
        given.setdefault("host", "here")
        given.setdefault("lease", LEASE)
        given.setdefault("subscribed", self.subscribed)
        return self.apply(begin.begin, c.Begin(record=self.key, step=step_, worker=worker, **given))

    def granted(self, step_: str, **given: Any) -> a.Granted:
        answer = self.begin(step_, **given)
        assert isinstance(answer, a.Granted), answer
        return answer

    def commit(
        self, step_: str, token: int, *names: str, result: bool = True, **given: Any
    ) -> a.CommitAnswer:
        """Commit with one event per name, `<step>/<name>` their ids; the first is the result."""
        events = tuple(event(f"{step_}/{name}", name) for name in names)
        call = c.Commit(
            record=self.key,
            subscribed=self.subscribed,
            step=step_,
            token=token,
            events=events,
            result=events[0].id if events and result else "",
            **given,
        )
        return self.apply(step.commit, call)

    def done(self, step_: str, *names: str, **given: Any) -> a.CommitAnswer:
        """Begin and commit."""
        return self.commit(step_, self.granted(step_, **given).token, *names)

    def commit_undo(self, step_: str, token: int) -> a.Committed | a.Fenced:
        call = c.CommitUndo(record=self.key, subscribed=self.subscribed, step=step_, token=token)
        return self.apply(compensation.commit_undo, call)

    def undo(self, step_: str) -> a.Committed | a.Fenced:
        """Begin an undo and commit it."""
        return self.commit_undo(step_, self.granted(step_, kind="undo").token)

    def fail(self, step_: str, token: int, **given: Any) -> a.FailAnswer:
        given.setdefault("outcome", "failed")
        given.setdefault("subscribed", self.subscribed)
        call = c.Fail(
            record=self.key, step=step_, token=token, error="boom", error_type="ValueError", **given
        )
        return self.apply(step.fail, call)

    def kill(self, step_: str, policy: c.Policy = "stall", **given: Any) -> a.FailAnswer:
        """Begin and be rejected: the job is dead."""
        answer = given.pop("answer", None)
        kind = given.get("kind", "step")
        token = self.granted(step_, **given).token
        ruling = verdict(step_, policy, kind=kind, answer=answer, reason="rejected")
        return self.fail(step_, token, kind=kind, outcome="rejected", verdict=ruling)

    def release(self, step_: str, token: int, **given: Any) -> a.ReleaseAnswer:
        call = c.Release(record=self.key, subscribed=self.subscribed, step=step_, token=token, **given)
        return self.apply(step.release, call)

    def renew(self, step_: str, token: int, **given: Any) -> a.RenewAnswer:
        given.setdefault("lease", LEASE)
        return self.apply(step.renew, c.Renew(record=self.key, step=step_, token=token, **given))

    def reject(self, step_: str, **given: Any) -> a.RejectAnswer:
        worker, _, event_id = step_.partition(":")
        given.setdefault("event", event(event_id))
        given.setdefault("verdict", verdict(step_, kind=given.get("kind", "step")))
        given.setdefault("subscribed", self.subscribed)
        return self.apply(letters.reject, c.Reject(record=self.key, step=step_, worker=worker, **given))

    def mark(self, *rows: str, **given: Any) -> a.Marked:
        call = c.Mark(record=self.key, subscribed=self.subscribed, rows=rows, **given)
        return self.apply(letters.mark, call)

    def mark_copy(self, step_: str, generation: int, kind: JobKind = "step") -> a.Marked:
        return self.mark(copies=(c.CopyMark(step=step_, kind=kind, generation=generation),))

    def redrive(
        self, step_: str, kind: JobKind = "step", *, generation: int | None = None, **given: Any
    ) -> a.Redriven:
        found = letter(step_, kind)
        if generation is None:
            generation = self.work(step_, kind).generation
        given.setdefault("pass_id", "pass 1")
        call = c.Redrive(
            record=self.key, letter=found.id, step=step_, kind=kind, generation=generation, **given
        )
        return self.apply(letters.redrive, call)

    def discard(self, step_: str, kind: JobKind = "step", **given: Any) -> a.Discarded:
        given.setdefault("generation", self.work(step_, kind).generation)
        given.setdefault("subscribed", self.subscribed)
        call = c.Discard(record=self.key, letter=letter(step_, kind).id, step=step_, kind=kind, **given)
        return self.apply(letters.discard, call)

    def review(self) -> a.Reviewed:
        assert self.record is not None
        self.record, answer = agenda.review(self.record, self.now, self.subscribed)
        return answer

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds

    def crash(self, step_: str, **given: Any) -> int:
        """Begin, and let the lease run out with nobody saying anything."""
        token = self.granted(step_, **given).token
        self.pass_time(LEASE + 1)
        return token


def started(**given: Any) -> World:
    """A run that has just begun."""
    world = World(**given)
    world.start()
    return world
