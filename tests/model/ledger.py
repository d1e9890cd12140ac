"""The state store of the model: records under short names, and the transitions of `pavane.core` between them.

The functions called here are the ones the memory store runs, nothing is written a second time. Two records
that differ only in what no decision looks at (history, attempts, who asked, when exactly) are one record
here (`likeness`): that, and remembering every answer, keeps the exploration small.

Every call is made twice, as if its reply had been lost: the second answer must settle the delivery in the
same way and may write nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pavane.core import agenda, begin, compensation, letters, pausing, run, skipping, steering, step
from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.record import Contract, EventRow, JobKind, Letter, Record, StepRow, UndoSpec, Work
from tests.model.likeness import AHEAD, NOW, fingerprint, same, simplify

RUN = "order:1"
MAX_ATTEMPTS = 2

CONTRACT = Contract(
    workflow="order", completes=("order.confirmed",), fails=("order.rejected",), idle_after=10**9
)


NO_EVENT = EventRow(id="", name="", version=1, time=0, payload=b"", producer="")

ORDERS: dict[str, tuple[Callable[..., Any], c.Call]] = {
    "cancel": (steering.cancel, c.Cancel(record=RUN, request="cancel")),
    "cancel without undo": (steering.cancel, c.Cancel(record=RUN, request="leave", undo=False)),
    "pause": (pausing.pause, c.Pause(record=RUN)),
    "resume": (pausing.resume, c.Resume(record=RUN)),
    "skip": (skipping.skip, c.Skip(record=RUN, step="", event=NO_EVENT)),
}
"""What operators may do. A skip is one of the first job, with the event that it would have emitted."""


class Broken(AssertionError):
    """A promise that does not hold in a state or on the way to it."""


@dataclass(frozen=True)
class Job:
    """One worker and the event that it gets in this scenario.

    Attributes:
        emits: names of the events that its commit writes, the result first.
        outcomes: how its handler may end: `ok`, `fail`.
        undo_outcomes: the same for its undo.
    """

    worker: str
    event: str
    emits: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ("ok",)
    undo: UndoSpec | None = None
    undo_outcomes: tuple[str, ...] = ("ok",)
    policy: c.Policy = "stall"

    @property
    def step(self) -> str:
        return f"{self.worker}:{self.event}"

    def emitted(self) -> tuple[EventRow, ...]:
        cause = self.step
        return tuple(event_row(f"{self.worker}/{name}", name, cause) for name in self.emits)


def event_row(id_: str, name: str, cause: str = "") -> EventRow:
    return EventRow(id=id_, name=name, version=1, time=0, payload=b"", producer="", causation=cause)


def verdict(job: Job, kind: JobKind) -> c.Verdict:
    letter = Letter(
        id=f"{kind}/{job.step}",
        kind=kind,
        step=job.step,
        worker=job.worker,
        event=job.event,
        reason="attempts",
        error="",
        error_type="",
    )
    return c.Verdict(letter=letter, policy=job.policy)


@dataclass
class Ledger:
    """Records by number, and what each call made of each of them."""

    jobs: tuple[Job, ...]
    unfenced: bool = False
    records: list[Record] = field(default_factory=list[Record])
    _numbers: dict[Any, int] = field(default_factory=dict[Any, int])
    _answers: dict[Any, tuple[int, Any]] = field(default_factory=dict[Any, tuple[int, Any]])

    def keep(self, record: Record) -> int:
        """The number of a record; records that no decision tells apart have the same."""
        simplify(record)
        key = fingerprint(record)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.records)
            self.records.append(record)
        return number

    def began(self) -> int:
        """The record of a run whose starting event is published."""
        call = c.Start(
            record=RUN, run_id="1", contract=CONTRACT, event=event_row("start", "order.placed"), digest=""
        )
        record, _ = run.start(None, call, NOW)
        after, _ = letters.mark(record, c.Mark(record=RUN, rows=("start",)), NOW)
        assert after is not None
        return self.keep(after)

    # calls; each is remembered under its arguments

    def begin(
        self, at: int, job: int, kind: JobKind, generation: int, *, ended: int, with_verdict: bool
    ) -> tuple[int, a.BeginAnswer]:
        def make() -> c.Begin:
            found = self.jobs[job]
            return c.Begin(
                record=RUN,
                step=found.step,
                worker=found.worker,
                kind=kind,
                event=event_row(found.event, found.event) if kind == "step" else None,
                cause=next((other.step for other in self.jobs if found.event in ids(other)), ""),
                generation=generation,
                begin_id="this delivery",
                host="",
                lease=AHEAD - NOW,
                alone=False,
                ended=(ended,) if ended else (),
                compensation=found.undo,
                verdict=verdict(found, kind) if with_verdict else None,
            )

        return self._call(at, ("begin", job, kind, generation, ended, with_verdict), begin_alone, make)

    def commit(self, at: int, job: int, token: int) -> tuple[int, a.CommitAnswer]:
        def make() -> c.Commit:
            events = self.jobs[job].emitted()
            result = events[0].id if events else ""
            return c.Commit(record=RUN, step=self.jobs[job].step, token=token, events=events, result=result)

        return self._call(at, ("commit", job, token), unfenced_commit if self.unfenced else step.commit, make)

    def commit_undo(self, at: int, job: int, token: int) -> tuple[int, a.Committed | a.Fenced]:
        def make() -> c.CommitUndo:
            return c.CommitUndo(record=RUN, step=self.jobs[job].step, token=token)

        return self._call(at, ("commit_undo", job, token), compensation.commit_undo, make)

    def fail(
        self, at: int, job: int, kind: JobKind, token: int, *, with_verdict: bool
    ) -> tuple[int, a.FailAnswer]:
        def make() -> c.Fail:
            return c.Fail(
                record=RUN,
                step=self.jobs[job].step,
                kind=kind,
                token=token,
                outcome="failed",
                error="",
                error_type="",
                delay=AHEAD - NOW,
                max_attempts=MAX_ATTEMPTS,
                verdict=verdict(self.jobs[job], kind) if with_verdict else None,
            )

        return self._call(at, ("fail", job, kind, token, with_verdict), step.fail, make)

    def mark(self, at: int, rows: tuple[str, ...]) -> int:
        return self._call(at, ("mark", rows), letters.mark, lambda: c.Mark(record=RUN, rows=rows))[0]

    def mark_copy(self, at: int, job: int, kind: JobKind, generation: int) -> int:
        def make() -> c.Mark:
            copy = c.CopyMark(step=self.jobs[job].step, kind=kind, generation=generation)
            return c.Mark(record=RUN, copies=(copy,))

        return self._call(at, ("mark copy", job, kind, generation), letters.mark, make)[0]

    def redrive(self, at: int, job: int, kind: JobKind, generation: int) -> tuple[int, a.Redriven]:
        def make() -> c.Redrive:
            return c.Redrive(
                record=RUN,
                letter=f"{kind}/{self.jobs[job].step}",
                step=self.jobs[job].step,
                kind=kind,
                generation=generation,
                pass_id="pass",
            )

        return self._call(at, ("redrive", job, kind, generation), letters.redrive, make)

    def hold(self, at: int, job: int, kind: JobKind, generation: int) -> tuple[int, a.HoldAnswer]:
        def make() -> c.Hold:
            found = self.jobs[job]
            event = event_row(found.event, found.event) if kind == "step" else None
            return c.Hold(
                record=RUN,
                step=found.step,
                worker=found.worker,
                kind=kind,
                event=event,
                generation=generation,
            )

        return self._call(at, ("hold", job, kind, generation), pausing.hold, make)

    def order(self, at: int, order: str) -> int:
        """What an operator does; the rows of the answer are left to the relay."""
        transition, call = ORDERS[order]
        if isinstance(call, c.Skip):
            first = self.jobs[0]
            call = replace(call, step=first.step, event=first.emitted()[0])
        return self._call(at, ("order", order), transition, lambda: call)[0]

    # time

    def expire(self, at: int, job: int, kind: JobKind) -> int:
        """The lease of a job runs out."""

        def pass_it(record: Record) -> None:
            work = self.written(record, job, kind)
            work.lease_until = NOW

        return self._change(at, ("expire", job, kind), pass_it)

    def elapse(self, at: int, job: int, kind: JobKind) -> int:
        """The next time of a job comes."""

        def pass_it(record: Record) -> None:
            if self.work(record, job, kind) is not None:
                self.written(record, job, kind).next_at = NOW

        return self._change(at, ("elapse", job, kind), pass_it)

    def tick(self, at: int) -> tuple[int, tuple[str, ...]]:
        """Whatever is pending falls due, and the relay reviews the record; the rows it is to publish."""

        def make() -> c.Call:
            return c.Call(record=RUN)

        return self._call(at, ("tick",), review_when_due, make)

    # looking

    def work(self, record: Record, job: int, kind: JobKind) -> Work | None:
        row = record.steps.get(self.jobs[job].step)
        return row.of(kind) if row else None

    def released(self, at: int, row: str) -> tuple[JobKind, str, int] | None:
        """Which held job a row of the outbox releases: its kind, step and generation; `None`: it is another row."""
        found = self.records[at].outbox[row]
        kind: JobKind = "undo" if found.kind == "undo" else "step"
        return (kind, found.step, found.generation) if row.startswith("held/") else None

    def row(self, at: int, job: int) -> StepRow | None:
        return self.records[at].steps.get(self.jobs[job].step)

    def written(self, record: Record, job: int, kind: JobKind) -> Work:
        row = record.edit(self.jobs[job].step)
        work = row.of(kind) if row else None
        assert work is not None
        return work

    # inside

    def _call(self, at: int, key: Any, transition: Callable[..., Any], make: Callable[[], Any]) -> Any:
        found = self._answers.get((at, key))
        if found is None:
            call = make()
            after, answer = transition(self.records[at], call, NOW)
            again, second = transition(after, call, NOW)
            found = self.keep(after), answer
            if key[0] != "tick" and (self.keep(again) != found[0] or not same(answer, second)):
                raise Broken(f"sent again, {key} is answered {second} after {answer}")
            self._answers[at, key] = found
        return found

    def _change(self, at: int, key: Any, change: Callable[[Record], None]) -> int:
        found = self._answers.get((at, key))
        if found is None:
            record = self.records[at].fork()
            change(record)
            found = self._answers[at, key] = self.keep(record), None
        return found[0]


def ids(job: Job) -> tuple[str, ...]:
    return tuple(event.id for event in job.emitted())


def begin_alone(record: Record, call: c.Begin, now: int) -> tuple[Record | None, a.BeginAnswer]:
    """Begin, and once more with nothing else running if that is asked for: a model process has but one job."""
    after, answer = begin.begin(record, call, now)
    if isinstance(answer, a.Isolate):
        return begin.begin(after, replace(call, alone=True), now)
    return after, answer


def unfenced_commit(record: Record, call: c.Commit, now: int) -> tuple[Record | None, a.CommitAnswer]:
    """Planted: whoever commits is taken for the holder."""
    row = record.steps[call.step]
    if row.work.token != call.token and row.work.ended_token != call.token:
        record = record.fork()
        row = record.edit(call.step) or row
        record.head.leases += 0 if row.work.token else 1
        row.work.token = call.token
    return step.commit(record, call, now)


def review_when_due(record: Record, _: c.Call, now: int) -> tuple[Record | None, tuple[str, ...]]:
    record = record.fork()
    for key, row in record.outbox.items():
        record.outbox[key] = replace(row, tries=0, next_try=now)
    record.head.void_at = now if record.head.void_at else 0
    record.head.release_at = now if record.head.release_at else 0
    after, answer = agenda.review(record, now, ())
    return after, tuple(row.row for row in answer.rows)
