"""The processes of the model: DESIGN's step protocol as a small state machine, one move at a time.

A process does one thing and can be killed after it, so every gap between a store call and a broker call is
a place to die. The broker is a multiset of messages; what a process holds unacknowledged goes back to the
queue when it dies (or when its channel is lost, and then it works on without noticing).

Two moves are made together with their neighbour, because nobody else can tell: a message is taken in the
move that begins it, and acknowledged in the last move before that; dying in between is a move of its own.

`Bugs` are the rules that can be taken out, to see that the exploration notices.
"""

from __future__ import annotations

from collections.abc import Iterator

from pavane.core import answers as a
from pavane.core.record import JobKind
from tests.model.ledger import Ledger, ids
from tests.model.moves import IDLE, Bugs, Effect, Message, Place, Process

Delivered = tuple[tuple[Message, ...], tuple[str, ...]]
"""Messages that reach the broker, and the ids of the events among them."""


class Protocol:
    """What a process may do next, for one set of jobs: nothing but its own state and the record decide it."""

    def __init__(self, ledger: Ledger, bugs: Bugs) -> None:
        self.ledger = ledger
        self.jobs = ledger.jobs
        self.bugs = bugs
        self._known: dict[tuple[int, Process], tuple[Effect, ...]] = {}

    def effects(self, record: int, process: Process) -> tuple[Effect, ...]:
        """All moves of a process that holds a delivery."""
        found = self._known.get((record, process))
        if found is None:
            found = tuple(each for one in self.all_effects(record, process) for each in self.settle(one))
            self._known[record, process] = found
        return found

    def all_effects(self, record: int, process: Process) -> Iterator[Effect]:
        match process.at:
            case "begin":
                yield self.begin(record, process)
            case "handle":
                yield from self.handle(record, process)
            case "commit":
                yield self.commit(record, process)
            case "fail":
                yield self.fail(record, process)
            case "publish":
                yield from self.publish(record, process)
            case "copy" | "letter" | "same":
                yield from self.copy(record, process)
            case "mark":
                after = self.ledger.mark(record, process.rows)
                yield Effect(f"mark {', '.join(process.rows)}", after, process._replace(at="ack", rows=()))
            case "hold":
                yield self.hold(record, process)
            case "mark copy":
                yield self.mark_copy(record, process)
            case "ack":
                yield self.ack(record, process)
            case "redrive":
                yield self.redrive(record, process)
            case other:
                raise ValueError(other)
        yield from self.faults(record, process)

    def settle(self, effect: Effect) -> Iterator[Effect]:
        """Acknowledge in the same move if nothing else is left to do, or die before that."""
        process = effect.process
        if process.at != "ack" or process.copy >= 0 or process.publish:
            yield effect
            return
        yield effect._replace(process=IDLE)
        if process.owns and not effect.fault:
            label = f"FAULT: {effect.label}, and killed before the ack"
            back = (*effect.sent, *self.held(process))
            yield effect._replace(label=label, process=IDLE, sent=back, fault=True)

    def take(self, message: Message) -> Process | None:
        """A process that has just received a message; `None`: it waits on the wheel."""
        if message.place == "queue":
            return Process("begin", message.job, message.kind, message.generation)
        if message.place == "letters":
            return Process("redrive", message.job, message.kind, message.generation, source="letters")
        return None

    def begin(self, record: int, process: Process) -> Effect:
        after, answer = self.ledger.begin(
            record,
            process.job,
            process.kind,
            process.generation,
            ended=process.token,
            with_verdict=process.verdict,
        )
        label = f"begin {self.name(process)} generation {process.generation}: {short(answer)}"
        blank = process._replace(token=0, verdict=False)
        match answer:
            case a.Granted():
                process = blank._replace(at="handle", token=answer.token)
            case a.Committed():
                process = self.to_publish(blank, answer.rows)
            case a.Leased() | a.NotYet():
                process = blank._replace(at="same", copy=process.generation)
            case a.Stale() if answer.publish == "retry" and not self.bugs.not_newer_is_acked:
                process = blank._replace(at="copy", copy=answer.generation)
            case a.Dead() if answer.publish:
                process = self.to_publish(blank, answer.rows)._replace(at="letter", copy=answer.generation)
            case a.Exhausted():
                process = process._replace(verdict=True)
            case a.Paused() if not self.bugs.paused_is_acked:
                process = blank._replace(at="hold")
            case _:
                process = blank._replace(at="ack")
        return Effect(label, after, process)

    def hold(self, record: int, process: Process) -> Effect:
        """Leave the delivery with the paused run; if the pause is over by now, begin again."""
        after, answer = self.ledger.hold(record, process.job, process.kind, process.generation)
        label = f"hold {self.name(process)} generation {process.generation}: {short(answer)}"
        return Effect(label, after, process._replace(at="ack" if isinstance(answer, a.Held) else "begin"))

    def handle(self, record: int, process: Process) -> Iterator[Effect]:
        """The handler ends, and what it came to is recorded."""
        job = self.jobs[process.job]
        for outcome in job.undo_outcomes if process.kind == "undo" else job.outcomes:
            if outcome == "fail":
                yield self.fail(record, process)
            elif self.bugs.publish_before_commit and process.kind == "step":
                early = process._replace(at="publish", publish=ids(job))
                yield Effect(
                    f"the handler of {self.name(process)} (token {process.token}) ends", record, early
                )
            else:
                yield self.commit(record, process)

    def commit(self, record: int, process: Process) -> Effect:
        undone = -1
        answer: a.CommitAnswer
        if process.kind == "undo":
            after, answer = self.ledger.commit_undo(record, process.job, process.token)
            undone = process.job if isinstance(answer, a.Committed) else -1
        else:
            after, answer = self.ledger.commit(record, process.job, process.token)
        label = f"commit {self.name(process)} under token {process.token}: {short(answer)}"
        if isinstance(answer, a.Fenced):
            process = process._replace(at="begin")
        else:
            process = self.to_publish(process._replace(token=0), answer.rows)
        return Effect(label, after, process, undone=undone)

    def fail(self, record: int, process: Process) -> Effect:
        after, answer = self.ledger.fail(
            record, process.job, process.kind, process.token, with_verdict=process.verdict
        )
        label = f"fail {self.name(process)} under token {process.token}: {short(answer)}"
        blank = process._replace(token=0, verdict=False)
        match answer:
            case a.Retrying():
                process = self.first(blank._replace(at="copy", copy=answer.generation))
            case a.Dead():
                process = self.to_publish(blank, answer.rows)
                process = self.first(process._replace(at="letter", copy=answer.generation))
            case a.Recorded():
                process = self.to_publish(blank, answer.rows)
            case a.Exhausted():
                process = process._replace(at="fail", verdict=True)
            case a.Fenced():
                process = process._replace(at="begin", verdict=False)
        return Effect(label, after, process)

    def first(self, process: Process) -> Process:
        """What follows a recorded failure; with the bug planted, the ack comes first."""
        return process._replace(at="ack") if self.bugs.ack_before_copy else process

    def to_publish(self, process: Process, rows: tuple[a.Publication, ...]) -> Process:
        names = tuple(sorted(row.row for row in rows))
        if not names:
            return process._replace(at="ack")
        at = "ack" if self.bugs.ack_before_publish else "publish"
        return process._replace(at=at, rows=names, publish=names)

    def publish(self, record: int, process: Process) -> Iterator[Effect]:
        row, *rest = process.publish
        after = process._replace(publish=tuple(rest))
        if not rest:
            after = after._replace(at="commit" if process.token else "mark")
        sent, seen = self.delivered(row)
        yield Effect(f"publish {row}", record, after, sent, seen)
        yield Effect(f"FAULT: publish {row}, its confirm is lost", record, process, sent, seen, fault=True)

    def delivered(self, row: str, held: tuple[JobKind, str, int] | None = None) -> Delivered:
        """What an outbox row becomes: a delivery for each subscriber, or a wake-up; `held` says what is released."""
        if held is not None:
            kind, step, generation = held
            number = [job.step for job in self.jobs].index(step)
            return (Message("queue", number, kind, generation),), ()
        sent: list[Message] = []
        for number, job in enumerate(self.jobs):
            if job.event == row:
                sent.append(Message("queue", number, "step", 0))
            elif row == f"undo/{job.step}":
                sent.append(Message("queue", number, "undo", 0))
        return tuple(sent), () if row.startswith("undo/") else (row,)

    def copy(self, record: int, process: Process) -> Iterator[Effect]:
        """Publish a retry copy, a letter, or the same job once more; then mark it, unless it is the same."""
        place: Place = "letters" if process.at == "letter" else "wheel"
        if process.source == "letters":
            place = "queue"  # a redrive does not wait
        message = Message(place, process.job, process.kind, process.copy)
        after = process._replace(at="mark copy")
        if process.at == "same":
            after = process._replace(at="ack", copy=-1)
        label = f"publish {self.say(message)}"
        yield Effect(label, record, after, (message,))
        yield Effect(f"FAULT: {label}, its confirm is lost", record, process, (message,), fault=True)

    def mark_copy(self, record: int, process: Process) -> Effect:
        after = self.ledger.mark_copy(record, process.job, process.kind, process.copy)
        label = f"mark the copy of {self.name(process)} generation {process.copy}"
        return Effect(label, after, process._replace(at="publish" if process.publish else "ack", copy=-1))

    def ack(self, record: int, process: Process) -> Effect:
        """Planted: acknowledge although a copy or an event is not confirmed."""
        label = f"ack {self.name(process)} generation {process.generation}, too early"
        work = self.ledger.work(self.ledger.records[record], process.job, process.kind)
        where = (
            "publish" if process.copy < 0 else "letter" if work and work.unpublished == "letter" else "copy"
        )
        return Effect(label, record, process._replace(at=where, owns=False))

    def redrive(self, record: int, process: Process) -> Effect:
        """Give a letter's job another life; the letter is dropped when its copy is safe."""
        after, answer = self.ledger.redrive(record, process.job, process.kind, process.generation)
        label = f"redrive {self.name(process)} by its letter {process.generation}: {answer.outcome}"
        if answer.outcome == "refused":
            return Effect(label, after, IDLE, self.held(process))
        if answer.outcome == "gone":
            return Effect(label, after, process._replace(at="ack"))
        process = process._replace(at="copy", copy=answer.generation)
        return Effect(label, after, process, redriven=answer.outcome == "publish")

    # what happens to it

    def faults(self, record: int, process: Process) -> Iterator[Effect]:
        if process.at in ("begin", "redrive") and not process.token and not process.verdict:
            return  # it has done nothing yet: to die changes nothing, and the channel may as well be lost later
        doing = f"{self.name(process)}, about to {process.at}"
        label = f"FAULT: the process with {doing}, is killed"
        yield Effect(label, record, IDLE, self.held(process), fault=True)
        if process.owns:
            label = f"FAULT: the channel of the process with {doing}, is lost"
            yield Effect(label, record, process._replace(owns=False), self.held(process), fault=True)

    def held(self, process: Process) -> tuple[Message, ...]:
        """The delivery that a process holds, as it would go back to where it came from."""
        if process.at == "idle" or not process.owns:
            return ()
        return (Message(process.source, process.job, process.kind, process.generation),)

    # words

    def name(self, process: Process) -> str:
        return f"{'undo of ' if process.kind == 'undo' else ''}{self.jobs[process.job].worker}"

    def say(self, message: Message) -> str:
        what = {"queue": "", "wheel": "over the wheel: ", "letters": "letter: "}[message.place]
        undo = "undo of " if message.kind == "undo" else ""
        return f"{what}{undo}{self.jobs[message.job].worker} generation {message.generation}"


def short(answer: object) -> str:
    """An answer's name and what matters of it."""
    shown = [
        f"{name}={value}"
        for name in ("token", "generation", "publish", "reason")
        if (value := getattr(answer, name, None)) not in (None, "")
    ]
    return f"{type(answer).__name__}({', '.join(shown)})"
