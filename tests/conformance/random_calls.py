"""Random calls on a few records: mostly plausible, often repeated, sometimes nonsense.

The caller looks at the records as they are, so that most of what it asks has an effect; tokens, generations
and ids are wrong now and then. The same seed makes the same calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from pavane.core.calls import (
    Begin,
    Commit,
    CommitUndo,
    CopyMark,
    Discard,
    Edit,
    Emit,
    Fail,
    File,
    Mark,
    Redrive,
    Reject,
    Release,
    Renew,
    Start,
)
from pavane.core.identity import emitted_id, step_id
from pavane.core.kept import JOINED
from pavane.core.record import EventRow, JobKind, Record, StepRow, Work
from tests.conformance.random_material import FRAMEWORK, HOUR, LOOSE, NAMES, RUNS, TEXTS, UNDO
from tests.conformance.random_steering import JOINING, RandomSteering

Call = Any


class RandomCaller(RandomSteering):
    """Makes calls."""

    def __init__(self, random: Random, records: Callable[[], dict[str, Record]]) -> None:
        super().__init__(random, records)
        self._makers: tuple[tuple[float, Callable[[], Call | None]], ...] = (
            (4, self.start),
            (2, self.emit),
            (30, self.begin),
            (12, self.begin_undo),
            (3 if self._crashing else 22, self.commit),
            (10, self.commit_undo),
            (1 if self._crashing else 4 if self._calm else 12, self.fail),
            (1 if self._crashing else 3 if self._calm else 6, self.release),
            (4, self.renew),
            (4 if self._calm else 7, self.reject),
            (12, self.mark),
            (6, self.redrive),
            (5, self.discard),
            (0.1 if self._joining else 1.5, self.cancel),
            (0.1 if self._joining else 0.5, self.compensate),
            (8, self.fail_joined),
            (0.3 if self._joining else 2, self.pause),
            (8, self.hold),
            (3, self.resume),
            (0.5 if self._crashing else 4, self.skip),
            (1, self.move_deadline),
            (6, self.edit),
            (5, self.file),
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

    def start(self) -> Call:
        record = self.random.choice(RUNS)
        id_ = f"start {record}" if self.chance(0.8) else f"second {record}"
        return Start(
            record=record,
            run_id=record[5:],
            contract=self.contract,
            event=self.event(id_, "go"),
            digest=self.random.choice(("d1", "d1", "d2")),
            by=self.random.choice(("", "operator-1")),
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
        worker, event = self.of_a_join(record, known, worker, event)
        step = step_id(worker, event.id)
        row = known.steps.get(step) if known else None
        edited = row is not None and row.replaces != "" if self.chance(0.97) else self.chance(0.5)
        starts = event.name == "go" and not edited
        cause = next((r.step for r in known.steps.values() if event.id in r.emitted), "") if known else ""
        asked = record if self.chance(0.98) else "flow:none"
        return Begin(
            record=asked,
            step=step,
            worker=worker,
            event=event,
            cause=cause,
            framework=(event.name.startswith("pavane.") and event.name != JOINED) or self.chance(0.02),
            edited=edited,
            contract=self.contract if starts else None,
            run_id=record[5:] if starts else "",
            digest="d1" if starts else "",
            compensation=UNDO[worker],
            join=self.join_of(record, event) if worker == JOINING and self.chance(0.93) else None,
            step_timeout=random.choice((0, 0, 30_000)),
            **self.asked(asked, step, worker, "step", row.work if row else None),
        )

    def of_a_join(
        self, record: str, known: Record | None, worker: str, event: EventRow
    ) -> tuple[str, EventRow]:
        """Now and then the job of a join, mostly once there is one and nobody has it, or an arrival."""
        join = known.joins.get(JOINING) if known else None
        if known and join and join.fired:
            row = known.steps.get(step_id(JOINING, join.event))
            if self.chance(0.05 if row and (row.committed or row.work.token) else 0.8):
                return JOINING, known.events[join.event]
        if record in RUNS and self.chance(0.01):
            return JOINING, self.joined(record)
        if known and join and not join.fired and self._joining and self.chance(0.3):
            missing = [
                known.events[id_] for id_ in sorted(known.events) if known.events[id_].name in join.names
            ]
            event = self.pick([e for e in missing if e.name not in dict(join.arrived)]) or event
            return JOINING, event
        share = 0.4 if self._joining else 0.3 if join and not join.fired else 0.15
        return (JOINING if self.chance(share) else worker), event

    def begin_undo(self) -> Call | None:
        found = [(known, row) for known, row in self.rows() if row.undo is not None]
        found = found if found or self.chance(0.9) else self.rows()
        if not found:
            return None
        joined = [item for item in found if item[1].worker == JOINING]
        known, row = self.random.choice(joined if joined and self.chance(0.5) else found)
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

    def commit(self) -> Call | None:
        found = self.pick([held for held in self.works(holding=True) if held[2] == "step"])
        if found is None or self.chance(0.05):
            found = self.pick(self.works(holding=False))
        if found is None:
            return None
        known, row, _, work = found
        record, random = known.head.key, self.random
        names = random.choices(NAMES[:3] if self._joining else NAMES, k=random.choice((0, 1, 1, 1, 2)))
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
            step = step_id(worker if self.chance(0.8) else "other.one", self.made("odd"))
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
            by="operator-1",
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
            generation=max(0, work.generation - self.random.choice((0, 0, 0, 1))),
            then=self.random.choice(("", "compensate", "compensate", "leave")),
            by="operator-1",
            reason=self.random.choice(TEXTS),
        )

    def edit(self) -> Call | None:
        found = self.letter()
        if found is None:
            return None
        known, row, _, work, letter = found
        event = known.events.get(row.event) or self.event("none")
        kept = known.letters.get(letter)
        generation = kept.generation if kept else work.generation
        id_ = f"{event.id}+{self.random.choice('ab')}"
        if self.chance(0.05):
            id_ = self.random.choice(sorted(known.events) or ["none"])
        return Edit(
            record=known.head.key,
            letter=letter,
            step=row.step,
            generation=max(0, generation - self.chance(0.1)),
            event=replace(self.event(id_, event.name), causation=event.id),
            new_key=self.chance(0.3),
            by="operator-1",
            reason=self.random.choice(TEXTS),
        )

    def file(self) -> Call:
        """Mostly of a job that the record knows, at a generation around its own."""
        record = self.record() if self.chance(0.95) else "flow:none"
        known = self._records().get(record)
        row = known.steps[self.random.choice(sorted(known.steps))] if known and known.steps else None
        if row is None or self.chance(0.1):
            worker = self.random.choice(tuple(UNDO))
            row = StepRow(step=step_id(worker, self.made("lost")), worker=worker, event="lost")
        kind: JobKind = "undo" if row.undo and self.chance(0.4) else "step"
        kind = "undo" if self.chance(0.05) else kind
        work = row.of(kind)
        return File(
            record=record,
            step=row.step,
            worker=row.worker,
            kind=kind,
            generation=max(1, (work.generation if work else 0) + self.random.choice((0, 1, 1, 2))),
            letter=self.verdict(record, row.step, row.worker, kind).letter,
            event=self.random.choice((None, self.event(row.step.partition(":")[2]))),
            own_record=record in LOOSE and self.chance(0.7),
            by="operator-1",
            reason=self.random.choice(TEXTS),
        )
