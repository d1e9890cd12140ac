"""Random calls on a few records: mostly plausible, often repeated, sometimes nonsense.

The caller looks at the records as they are, so that most of what it asks has an effect; tokens, generations
and ids are wrong now and then. The same seed makes the same calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from pavane.core.calls import (
    Begin,
    Commit,
    CommitUndo,
    CopyMark,
    Discard,
    Emit,
    Fail,
    Mark,
    Policy,
    Redrive,
    Reject,
    Release,
    Renew,
    Start,
    TimerSet,
    Verdict,
)
from pavane.core.identity import emitted_id, letter_id, step_id
from pavane.core.record import Contract, EventRow, JobKind, Letter, Record, StepRow, UndoSpec, Work

HOUR = 3_600_000
RUNS = ("flow:a", "flow:ä/2")
LOOSE = ('~lo"ose', "~other")
NAMES = ("mid", "mid", "other", "done", "bad")
FRAMEWORK = ("pavane.run_ended", "pavane.run_stalled", "pavane.step_dead_lettered", "pavane.undo_stuck")
UNDO = {
    "a.w0": UndoSpec(),
    "b.w1": UndoSpec(uncertain=False),
    "c.w2": UndoSpec(admits=("mid",)),
    "d.w3": None,
}
TEXTS = ("boom", 'a "quoted"\nline\t\\ \x01\x7f', "schön 🎻 </p>", "")

Call = Any


class RandomCaller:
    """Makes calls. `records` gives the records as they are before each call."""

    def __init__(self, random: Random, records: Callable[[], dict[str, Record]]) -> None:
        self.random = random
        self._records = records
        self._made = 0
        self._calm = random.random() < 0.5  # a sequence that rarely fails gets further
        self._crashing = random.random() < 0.2  # in this one holders rarely say how it ended
        self.contract = Contract(
            workflow="flow",
            completes=("done",),
            fails=("bad",),
            deadline=random.choice((0, 20_000, 3 * HOUR)),
            retention=random.choice((60_000, 30 * 24 * HOUR)),
            idle_after=random.choice((5_000, HOUR)),
            max_history=random.choice((5, 2_000)),
        )
        self._makers: tuple[tuple[int, Callable[[], Call | None]], ...] = (
            (4, self.start),
            (2, self.emit),
            (30, self.begin),
            (12, self.begin_undo),
            (3 if self._crashing else 22, self.commit),
            (10, self.commit_undo),
            (1 if self._crashing else 4 if self._calm else 12, self.fail),
            (1 if self._crashing else 3 if self._calm else 6, self.release),
            (4, self.renew),
            (2 if self._calm else 6, self.reject),
            (12, self.mark),
            (6, self.redrive),
            (4, self.discard),
        )

    def next(self) -> Call:
        """A call that can be made of the records as they are."""
        weights = [weight for weight, _ in self._makers]
        while True:
            [(_, make)] = self.random.choices(self._makers, weights)
            call = make()
            if call is not None:
                subscribed = FRAMEWORK if self.random.random() < 0.7 else ()
                return replace(call, subscribed=subscribed)

    # what calls are made of

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def event(self, id_: str, name: str = "") -> EventRow:
        random = self.random
        return EventRow(
            id=id_,
            name=name or random.choice(NAMES),
            version=random.randint(1, 3),
            time=random.randint(0, 2_000_000_000_000),
            payload=random.choice((b"", b"{}", b'{"a":"\xff\n"}', b"[]\n[]\x00")),
            producer="a.w0",
            causation=random.choice(("", "cause")),
            hops=random.randint(0, 3),
            trace=random.choice((("", "", ""), ("00-1", "k=v", "b=ü"))),
        )

    def made(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made}"

    def record(self) -> str:
        if self._crashing and self.chance(0.7):
            return RUNS[0]
        return self.random.choice((*RUNS, *RUNS, *RUNS, *LOOSE))

    def rows(self) -> list[tuple[Record, StepRow]]:
        return [(record, row) for record in self._records().values() for row in record.steps.values()]

    def works(self, holding: bool) -> list[tuple[Record, StepRow, JobKind, Work]]:
        found: list[tuple[Record, StepRow, JobKind, Work]] = []
        for record, row in self.rows():
            kinds: tuple[JobKind, ...] = ("step", "undo")
            for kind in kinds:
                work = row.of(kind)
                if work is not None and (work.token or not holding):
                    found.append((record, row, kind, work))
        return found

    def pick(self, found: Sequence[Any]) -> Any:
        return self.random.choice(found) if found else None

    def held(self) -> Any:
        """A work that somebody holds; sometimes one that nobody does."""
        return self.pick(self.works(holding=not self.chance(0.1)))

    def token(self, work: Work) -> int:
        if self.chance(0.06):
            return self.random.randint(0, 5)
        return work.token or work.ended_token

    def verdict(self, record: str, step: str, worker: str, kind: JobKind) -> Verdict:
        random = self.random
        letter = Letter(
            id=letter_id(record, step, kind),
            kind="undo" if kind == "undo" else random.choice(("step", "message")),
            step=step,
            worker=worker,
            event="mid",
            reason=random.choice(("attempts", "rejected")),
            error=random.choice(TEXTS),
            error_type="E",
            traceback=random.choice(("", "line\n")),
            headers=random.choice(((), (("a", "b"), ("c", "d")))),
        )
        policies: tuple[Policy, ...] = ("stall", "stall", "compensate", "answer")
        policy: Policy = random.choice(policies) if kind == "step" else "stall"
        answer = self.event(f"{step}/answer") if policy == "answer" else None
        return Verdict(letter=letter, policy=policy, answer=answer)

    # calls

    def start(self) -> Call:
        record = self.random.choice(RUNS)
        id_ = f"start {record}" if self.chance(0.8) else f"second {record}"
        return Start(
            record=record,
            run_id=record[5:],
            contract=self.contract,
            event=self.event(id_, "go"),
            digest=self.random.choice(("d1", "d1", "d2")),
            by=self.random.choice(("", "amelie")),
        )

    def emit(self) -> Call:
        record = self.record() if self.chance(0.9) else "flow:none"
        known = self._records().get(record)
        if known and known.events and self.chance(0.3):
            return Emit(record=record, event=self.event(self.random.choice(sorted(known.events))), by="x")
        return Emit(record=record, event=self.event(self.made("outside")), by=self.random.choice(("", "x")))

    def begin(self) -> Call:
        random, record = self.random, self.record()
        known = self._records().get(record)
        event = self.delivered(record, known)
        worker = random.choice(tuple(UNDO))
        begun = sorted(known.steps.values(), key=lambda row: row.step) if known else []
        if known and begun and self.chance(0.9 if self._crashing else 0.45):  # a job that was begun before
            again = begun[0] if self._crashing and self.chance(0.5) else random.choice(begun)
            worker, event = again.worker, known.events.get(again.event, event)
        step = step_id(worker, event.id)
        row = known.steps.get(step) if known else None
        starts = event.name == "go"
        cause = next((r.step for r in known.steps.values() if event.id in r.emitted), "") if known else ""
        return Begin(
            record=record if self.chance(0.98) else "flow:none",
            step=step,
            worker=worker,
            event=event,
            cause=cause,
            framework=event.name.startswith("pavane.") or self.chance(0.02),
            contract=self.contract if starts else None,
            run_id=record[5:] if starts else "",
            digest="d1" if starts else "",
            compensation=UNDO[worker],
            step_timeout=random.choice((0, 0, 30_000)),
            **self.asked(record, step, worker, "step", row.work if row else None),
        )

    def delivered(self, record: str, known: Record | None) -> EventRow:
        """An event of the record, or one that it has not seen."""
        if known and known.events and self.chance(0.93):
            if self.chance(0.5):
                return list(known.events.values())[-1]
            return self.random.choice([known.events[id_] for id_ in sorted(known.events)])
        if record in RUNS:
            return self.event(self.random.choice((f"start {record}", f"second {record}")), "go")
        return self.event(record[1:], "mid")

    def begin_undo(self) -> Call | None:
        found = [(known, row) for known, row in self.rows() if row.undo is not None]
        found = found if found or self.chance(0.9) else self.rows()
        if not found:
            return None
        known, row = self.random.choice(found)
        return Begin(
            record=known.head.key,
            step=row.step,
            worker=row.worker,
            kind="undo",
            **self.asked(known.head.key, row.step, row.worker, "undo", row.undo),
        )

    def asked(self, record: str, step: str, worker: str, kind: JobKind, work: Work | None) -> dict[str, Any]:
        random = self.random
        alone = self.chance(0.8)
        lost = work.granted if work else []
        return {
            "generation": self.generation(work),
            "begin_id": work.begin_id if work and self.chance(0.15) else self.made("begin"),
            "host": "host",
            "lease": 500 if self._crashing else random.choice((500, 2_000, 30_000)),
            "alone": alone,
            "ended": tuple(lost) if self.chance(0.02 if self._crashing else 0.1) else (),
            "verdict": self.verdict(record, step, worker, kind) if self.chance(0.4) else None,
        }

    def generation(self, work: Work | None) -> int:
        """What a delivery says: mostly the work's own, where it has had others often one of those."""
        if work is None or work.generation == 0 or self.chance(0.7):
            return (work.generation if work else 0) + self.chance(0.05)
        return self.random.randrange(work.generation)

    def commit(self) -> Call | None:
        found = self.pick([held for held in self.works(holding=True) if held[2] == "step"])
        if found is None or self.chance(0.05):
            found = self.pick(self.works(holding=False))
        if found is None:
            return None
        known, row, _, work = found
        record, random = known.head.key, self.random
        names = random.choices(NAMES, k=random.choice((0, 1, 1, 1, 2)))
        if self._calm:
            names = ["mid" if name == "bad" and self.chance(0.7) else name for name in names]
        events = [self.event(emitted_id(record, row.step, i), name) for i, name in enumerate(names)]
        timers = self.timers(record, row.step)
        return Commit(
            record=record,
            step=row.step if self.chance(0.98) else "a.w0:none",
            token=self.token(work),
            result=events[0].id if events else "",
            events=tuple(events),
            data=tuple((key, random.choice((b"", b"1", b"\xff\n"))) for key in random.sample("kéq", 1)),
            timers=timers,
            relative=tuple(timer.key for timer in timers if timer.at < HOUR),
            cancelled_timers=random.choice(((), (), ("t1",), ("t1", "t2"))),
        )

    def timers(self, record: str, step: str) -> tuple[TimerSet, ...]:
        keys = self.random.choice(((), (), ("t1",), ("t2", "t1"), ("t3",)))
        return tuple(
            TimerSet(key=key, at=self.random.choice((0, 700, 40_000)), event=self.event(f"{step}/{key}"))
            for key in keys
        )

    def commit_undo(self) -> Call | None:
        found = self.pick([held for held in self.works(holding=self.chance(0.9)) if held[2] == "undo"])
        if found is None:
            return None
        known, row, _, work = found
        return CommitUndo(record=known.head.key, step=row.step, token=self.token(work))

    def fail(self) -> Call | None:
        found = self.held()
        if found is None:
            return None
        known, row, kind, work = found
        random = self.random
        return Fail(
            record=known.head.key,
            step=row.step,
            kind=kind,
            token=self.token(work),
            outcome=random.choice(("failed", "failed", "failed", "timed_out", "rejected")),
            error=random.choice(TEXTS),
            error_type="ValueError",
            delay=random.choice((0, 300, 5_000)),
            max_attempts=random.choice((1, 2, 5)),
            step_timeout=random.choice((0, 0, 4_000)),
            verdict=(self.verdict(known.head.key, row.step, row.worker, kind) if self.chance(0.6) else None),
        )

    def release(self) -> Call | None:
        found = self.held()
        if found is None:
            return None
        known, row, kind, work = found
        lost = [token for token in work.granted if token != work.token]
        token = self.random.choice(lost) if lost and self.chance(0.5) else self.token(work)
        after = self.random.choice((0, 0, 400))
        return Release(
            record=known.head.key, step=row.step, kind=kind, token=token, after=after, reason="shutdown"
        )

    def renew(self) -> Call | None:
        found = self.held()
        if found is None:
            return None
        known, row, kind, work = found
        return Renew(
            record=known.head.key,
            step=row.step,
            kind=kind,
            token=self.token(work),
            lease=self.random.choice((500, 30_000)),
            progress=self.random.choice((-1.0, 0.0, 0.25, 1.0)),
            note=self.random.choice(TEXTS),
        )

    def reject(self) -> Call:
        random, record = self.random, self.record()
        known = self._records().get(record)
        if known and known.steps and self.chance(0.6):
            row = known.steps[random.choice(sorted(known.steps))]
            kind: JobKind = "undo" if row.undo and self.chance(0.5) else "step"
            work = row.of(kind)
            step, worker, generation = row.step, row.worker, self.generation(work)
        else:
            worker, kind, generation = random.choice(tuple(UNDO)), "step", self.generation(None)
            step = step_id(worker, self.made("odd"))
        return Reject(
            record=record,
            step=step,
            worker=worker,
            kind=kind,
            generation=generation,
            event=random.choice((None, self.event(step.partition(":")[2]))),
            own_record=record in LOOSE and self.chance(0.7),
            delivery_limit=self.chance(0.6),
            verdict=self.verdict(record, step, worker, kind),
        )

    def mark(self) -> Call | None:
        known = self.pick([record for record in self._records().values() if record.outbox or record.letters])
        if known is None:
            return None
        rows = self.some(known.outbox)
        returned = self.some(known.outbox) if self.chance(0.3) else ()
        copies = [
            CopyMark(step=row.step, kind=kind, generation=work.generation - self.chance(0.1))
            for record, row, kind, work in self.works(holding=False)
            if record is known and work.unpublished and self.chance(0.6)
        ]
        return Mark(
            record=known.head.key,
            rows=(*rows, *(("nothing",) if self.chance(0.1) else ())),
            unrouted=rows[:1] if self.chance(0.3) else (),
            returned=returned,
            copies=tuple(copies),
        )

    def some(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(id_ for id_ in sorted(ids) if self.chance(0.6))

    def letter(self) -> tuple[Record, StepRow, JobKind, Work, str] | None:
        """A dead letter; sometimes that of a job which is not dead."""
        found = [
            (known, row, kind, work, letter_id(known.head.key, row.step, kind))
            for known, row, kind, work in self.works(holding=False)
        ]
        listed = [item for item in found if item[4] in item[0].letters]
        again = [item for item in found if item[1].redrives]
        return self.pick(listed if listed and self.chance(0.7) else again if again else found)

    def redrive(self) -> Call | None:
        found = self.letter()
        if found is None:
            return None
        known, row, kind, work, letter = found
        return Redrive(
            record=known.head.key,
            letter=letter,
            step=row.step,
            kind=kind,
            generation=max(0, work.generation - self.random.choice((0, 0, 0, 1))),
            pass_id=self.made("pass"),
            force=self.chance(0.3),
            by="amelie",
            reason=self.random.choice(TEXTS),
        )

    def discard(self) -> Call | None:
        found = self.letter()
        if found is None:
            return None
        known, row, kind, work, letter = found
        return Discard(
            record=known.head.key,
            letter=letter,
            step=row.step,
            kind=kind,
            generation=work.generation,
            then=self.random.choice(("", "compensate", "leave")),
            by="amelie",
            reason=self.random.choice(TEXTS),
        )
