"""One walk: a record, the messages, the processes' hands, and the book that watches them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from pavane.core import agenda, begin, letters, pausing, run, step
from pavane.core import answers as a
from pavane.core import calls as c
from pavane.core.kept import JOINED
from pavane.core.record import JobKind, Record
from tests.simulation.walks.audit import audit, held_id
from tests.simulation.walks.book import Book, hold_to
from tests.simulation.walks.floor import (
    FRAMEWORK,
    LEASE,
    RUN,
    START,
    TAKERS,
    WORKERS,
    Draw,
    LetterMessage,
    Message,
    contract,
    event,
    join_spec,
    terms,
    verdict,
)

C = TypeVar("C", bound=c.Call)
A = TypeVar("A")

ONCE = (step.renew, letters.mark, letters.reject, run.start)
"""What is not sent twice here: a renewal holds longer, a mark says nothing, a message is put back once, and each
other start is a line."""


SETTLED = (a.Isolate, a.Recorded, a.Redriven, a.Discarded)
"""Answers after which the second is another that means the same: *committed* for an arrival that had a row, ..."""


@dataclass(slots=True)
class Hand:
    """A process that was granted a job. `alone`: its delivery is with somebody else by now, it just does not know."""

    message: Message
    token: int
    alone: bool = False


class Walk:
    """Asks the core, believes its answers, and audits the record after every step."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.now = START
        self.record: Record | None = None
        self.bag: list[Message] = []
        self.hands: list[Hand] = []
        self.dead: list[LetterMessage] = []
        self.marks: list[list[str]] = []
        self.fenced: dict[tuple[str, JobKind], tuple[int, ...]] = {}
        self.rules: Counter[str] = Counter()
        self.subscribed = FRAMEWORK if draw(3) == 0 else ()
        self.contract = contract(draw)
        self.terms = terms(draw)
        self.careful = False
        self.seq = 0
        self.numbers = 0
        ahead = START + self.contract.deadline if self.contract.deadline else 0
        self.book = Book(contract=self.contract, terms=self.terms, deadline=ahead)
        self.book.emit(event("start", "start"))
        self.start("start", "d")

    @property
    def live(self) -> Record:
        assert self.record is not None
        return self.record

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def chance(self, one_in: int) -> bool:
        """Whether a mishap happens. Never while a walk is brought to its end."""
        return not self.careful and self.draw(one_in) == 0

    def ask(self, transition: Callable[[Record | None, C, int], tuple[Record | None, A]], call: C) -> A:
        """Make a call, and now and then the same once more: a reply was lost."""
        self.record, answer = transition(self.record, call, self.now)
        name = transition.__name__
        self.rules[f"{name}: {told(answer)}"] += 1
        if transition not in ONCE and self.chance(16):
            again, repeated = transition(self.record, call, self.now)
            silent = told(answer) in ("refused second_start", "refused join_open")
            hold_to(silent or again == self.record, f"{name} writes twice what was sent twice")
            same = type(repeated) is type(answer) or isinstance(answer, SETTLED)
            hold_to(same, f"{name} is answered {told(answer)}, then {told(repeated)}")
            self.rules["sent twice"] += 1
        return answer

    def audit(self, *, tick: bool = False) -> None:
        record = self.live
        if record.head.seq > self.seq:
            for line in record.history[self.seq - record.head.seq :]:
                if line.seq > self.seq:
                    self.rules[f"line {line.kind}"] += 1
            self.seq = record.head.seq
        audit(self.book, record, self.now, tick=tick)

    # the broker

    def start(self, id_: str, digest: str) -> None:
        call = c.Start(
            record=RUN, run_id="1", contract=self.contract, event=event(id_, "start"), digest=digest
        )
        answer = self.ask(run.start, call)
        self.rules["start: conflict" if answer.conflict else "start: attached"] += not answer.created
        self.publish(answer.rows)

    def publish(self, rows: Iterable[a.Publication]) -> None:
        """Publish and mark, unless the process dies before the one or the other."""
        rows = list(rows)
        if not rows or self.chance(10):
            return
        for row in rows:
            self.bag += messages(row)
        names = [row.row for row in rows]
        if self.chance(4):
            self.marks.append(names)
        elif not self.chance(8):
            self.mark(names)

    def mark(self, rows: list[str]) -> None:
        self.ask(letters.mark, c.Mark(record=RUN, rows=tuple(rows)))
        self.book.unmarked -= set(rows)

    def mark_copy(self, message: Message, generation: int) -> None:
        if not self.chance(8):
            copy = c.CopyMark(step=message.step, kind=message.kind, generation=generation)
            self.ask(letters.mark, c.Mark(record=RUN, copies=(copy,)))

    def send_copy(self, message: Message, generation: int) -> None:
        """The next copy of a job; if the process dies before, the old delivery comes again."""
        if self.chance(8):
            self.bag.append(message)
            return
        self.bag.append(message._replace(generation=generation))
        self.mark_copy(message, generation)

    def bury(self, message: Message, answer: a.Dead) -> None:
        self.publish(answer.rows)
        if not answer.publish:
            return
        if self.chance(8):
            self.bag.append(message)
            return
        self.dead.append(LetterMessage(message._replace(generation=answer.generation), answer.letter.id))
        self.mark_copy(message, answer.generation)

    # a delivery

    def deliver(self, message: Message) -> None:
        """Begin with it, and settle it as the answer says."""
        key = message.step, message.kind
        call = self.begin_call(message)
        answer = self.ask(begin.begin, call)
        if isinstance(answer, a.Isolate):
            call = self.begin_call(message, alone=True)
            answer = self.ask(begin.begin, call)
        if isinstance(answer, a.Exhausted):
            ruling = verdict(message, self.terms[message.worker], answer.reason)
            before = self.letters()
            answer = self.ask(begin.begin, self.begin_call(message, alone=call.alone, ruling=ruling))
            if isinstance(answer, a.Dead) and before != self.letters():
                self.book.died(message, ruling)
        self.fenced.pop(key, None)
        self.settle(message, answer)

    def settle(self, message: Message, answer: a.BeginAnswer) -> None:
        match answer:
            case a.Granted():
                self.book.granted(message, answer.token, answer.lease_until, self.now)
                self.check_arguments(message, answer)
                self.hands.append(Hand(message, answer.token))
            case a.Leased() | a.NotYet():
                self.bag.append(message)
            case a.Committed(rows=rows):
                self.publish(rows)
            case a.Recorded(rows=rows):
                self.book.arrives(message)
                self.publish(rows)
            case a.Stale():
                if answer.publish:
                    self.send_copy(message, answer.generation)
            case a.Dead():
                self.bury(message, answer)
            case a.Paused():
                self.hold(message)
            case a.Refused():
                pass
            case a.UnknownRun() | a.Isolate() | a.Exhausted():
                hold_to(False, f"{message.step} cannot be settled: {answer}")

    def hold(self, message: Message) -> None:
        """A second call: by then the pause may be over."""
        if self.chance(8):
            self.resume()
        call = c.Hold(
            record=RUN,
            step=message.step,
            worker=message.worker,
            kind=message.kind,
            event=message.event,
            generation=message.generation,
        )
        answer = self.ask(pausing.hold, call)
        hold_to(isinstance(answer, a.Held) == self.book.paused, f"hold is answered {told(answer)}")
        if isinstance(answer, a.NotPaused):
            self.bag.append(message)
            return
        id_ = f"{message.kind}/{message.generation}/{message.step}"
        if id_ not in self.book.held:
            self.book.held.append(id_)

    def resume(self) -> None:
        answer = self.ask(pausing.resume, c.Resume(record=RUN, by="op"))
        hold_to(
            isinstance(answer, a.Done) == (self.book.phase in ("running", "compensating")),
            f"resume is answered {told(answer)}",
        )
        if isinstance(answer, a.Done):
            rows = [row for row in answer.rows if row.row.startswith("held/")]
            released = [held_id(row.kind, row.generation, row.step) for row in rows]
            if self.book.paused:
                first = self.book.held[: pausing.RELEASED_AT_ONCE]
                hold_to(released == first, f"P4: out of order {released} of {self.book.held}")
            self.book.paused = False
            self.audit()
            self.publish(answer.rows)

    def check_arguments(self, message: Message, answer: a.Granted) -> None:
        """A handler gets what it was declared with, and an undo what its step did."""
        job = self.book.jobs[message.step]
        worker = WORKERS[message.worker]
        if worker.joins:
            hold_to(tuple(e.name for e in answer.joined) == worker.takes, f"joined {answer.joined}")
            hold_to(message.worker in self.book.fired, "a join runs before it is complete")
        if message.kind == "undo":
            known = job.place > 0 and not job.skipped
            hold_to(
                answer.unknown != known, f"the outcome of {message.step} is told as unknown={answer.unknown}"
            )
            result = answer.result.name if answer.result else ""
            hold_to(result == (job.result if known else ""), f"the undo is given {result!r}")
            hold_to(answer.reason == self.book.reason, "the undo is given another reason")

    def begin_call(
        self, message: Message, *, alone: bool = False, ruling: c.Verdict | None = None
    ) -> c.Begin:
        worker, event_ = WORKERS[message.worker], message.event
        name = event_.name if event_ else ""
        starts = name == "start"
        return c.Begin(
            record=RUN,
            subscribed=self.subscribed,
            step=message.step,
            worker=message.worker,
            kind=message.kind,
            event=event_,
            cause=f"{event_.producer}:{event_.causation}" if event_ and event_.causation else "",
            framework=name.startswith("pavane.") and name != JOINED,
            generation=message.generation,
            begin_id=f"begin {self.number()}",
            host="here",
            lease=LEASE,
            alone=alone,
            ended=self.fenced.get((message.step, message.kind), ()),
            run_id="1" if starts else "",
            contract=self.contract if starts else None,
            digest="d" if starts else "",
            step_timeout=200_000 if message.worker == "w.seat" else 0,
            compensation=self.terms[message.worker].compensation,
            join=join_spec(worker, event_) if worker.joins and event_ else None,
            verdict=ruling,
        )

    def letters(self) -> set[str]:
        return set(self.live.letters)

    def tick(self) -> None:
        """The relay looks at the record."""
        self.book.passes(self.now)
        self.record, answer = agenda.review(self.live, self.now, self.subscribed)
        self.audit(tick=True)
        self.publish(answer.rows)


def told(answer: object) -> str:
    """An answer in short: its name, and its code if it has one."""
    name = type(answer).__name__.lower()
    more = getattr(answer, "outcome", "")
    if isinstance(answer, (a.Refused, a.Redriven, a.Discarded, a.Exhausted)):
        more = f"{more} {answer.reason}".strip()
    return f"{name} {more}".strip()


def messages(row: a.Publication) -> list[Message]:
    """What a row of the outbox becomes on the broker."""
    if row.kind == "event":
        return [
            Message("step", worker.name, f"{worker.name}:{row.event.id}", row.event, 0)
            for worker in TAKERS.get(row.event.name, ())
        ]
    event_ = row.event if row.kind == "job" else None
    return [Message("step" if event_ else "undo", row.worker, row.step, event_, row.generation)]
