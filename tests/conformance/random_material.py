"""What random calls are made of: events, tokens, generations, verdicts, taken from the records as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from pavane.core.calls import Policy, TimerSet, Verdict
from pavane.core.identity import letter_id
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
    "j.all": UndoSpec(),
}
TEXTS = ("boom", 'a "quoted"\nline\t\\ \x01\x7f', "schön 🎻 </p>", "")


class RandomMaterial:
    """Draws. `records` gives the records as they are before each call."""

    def __init__(self, random: Random, records: Callable[[], dict[str, Record]]) -> None:
        self.random = random
        self._records = records
        self._made = 0
        self._calm = random.random() < 0.5  # a sequence that rarely fails gets further
        self._crashing = random.random() < 0.2  # in this one holders rarely say how it ended
        self._joining = random.random() < 0.15  # and in this one much is gathered, in one run
        self.contract = Contract(
            workflow="flow",
            completes=("done",),
            fails=("bad",),
            deadline=random.choice((0, 20_000, 3 * HOUR)),
            retention=random.choice((60_000, 30 * 24 * HOUR)),
            idle_after=random.choice((5_000, HOUR)),
            max_history=random.choice((5, 2_000)),
            undo=random.choice(("sequential", "parallel")),
        )

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def event(self, id_: str, name: str = "", payload: bytes | None = None) -> EventRow:
        random = self.random
        return EventRow(
            id=id_,
            name=name or random.choice(NAMES[:3] if self._joining else NAMES),
            version=random.randint(1, 3),
            time=random.randint(0, 2_000_000_000_000),
            payload=random.choice((b"", b"{}", b'{"a":"\xff\n"}', b"[]\n[]\x00"))
            if payload is None
            else payload,
            producer="a.w0",
            causation=random.choice(("", "cause")),
            hops=random.randint(0, 3),
            trace=random.choice((("", "", ""), ("00-1", "k=v", "b=ü"))),
        )

    def made(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made}"

    def record(self) -> str:
        if self._joining or (self._crashing and self.chance(0.7)):
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

    def generation(self, work: Work | None) -> int:
        """What a delivery says: mostly the work's own, where it has had others often one of those."""
        if work is None or work.generation == 0 or self.chance(0.7):
            return (work.generation if work else 0) + self.chance(0.05)
        return self.random.randrange(work.generation)

    def some(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(id_ for id_ in sorted(ids) if self.chance(0.6))

    def delivered(self, record: str, known: Record | None) -> EventRow:
        """An event of the record, or one that it has not seen."""
        if known and known.events and self.chance(0.93):
            if self.chance(0.5):
                return list(known.events.values())[-1]
            return self.random.choice([known.events[id_] for id_ in sorted(known.events)])
        if record in RUNS:
            return self.event(self.random.choice((f"start {record}", f"second {record}")), "go")
        return self.event(record[1:], "mid")

    def timers(self, record: str, step: str) -> tuple[TimerSet, ...]:
        keys = self.random.choice(((), (), ("t1",), ("t2", "t1"), ("t3",)))
        return tuple(
            TimerSet(key=key, at=self.random.choice((0, 700, 40_000)), event=self.event(f"{step}/{key}"))
            for key in keys
        )

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

    def letter(self) -> tuple[Record, StepRow, JobKind, Work, str] | None:
        """A dead letter; sometimes that of a job which is not dead."""
        found = [
            (known, row, kind, work, letter_id(known.head.key, row.step, kind))
            for known, row, kind, work in self.works(holding=False)
        ]
        listed = [item for item in found if item[4] in item[0].letters]
        again = [item for item in found if item[1].redrives]
        return self.pick(listed if listed and self.chance(0.7) else again if again else found)
