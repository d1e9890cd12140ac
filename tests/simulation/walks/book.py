"""The book: what a run must look like, kept from the calls and their answers alone, without asking the core.

It knows P1 (one commit, one holder), P2 (no event but a committed step's), P5 (whom to undo, in which order) and P8
(over, at work, or listed); `audit.py` compares the record with it after every step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pavane.core.calls import Commit, Skip, TimerSet, Verdict
from pavane.core.kept import JOINED
from pavane.core.record import Contract, EventRow, JobKind, UndoSpec
from tests.simulation.walks.floor import WORKERS, Message, Terms


class Breach(AssertionError):
    """A promise is broken."""


def hold_to(kept: object, promise: str) -> None:
    if not kept:
        raise Breach(promise)


@dataclass(slots=True)
class Job:
    """What the book knows about a job that began."""

    worker: str
    event: str
    first: int
    closing: bool
    undo: UndoSpec | None
    place: int = 0
    result: str = ""
    failed_run: bool = False
    skipped: bool = False
    undone: bool = False


@dataclass(slots=True)
class Lease:
    token: int
    until: int


@dataclass(slots=True)
class Book:
    contract: Contract
    terms: dict[str, Terms]
    deadline: int
    phase: str = "running"
    reason: str = ""
    end_event: str = ""
    cancelling: bool = False
    leave: bool = False
    paused: bool = False
    idle: bool = False
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    leases: dict[tuple[str, JobKind], Lease] = field(default_factory=dict[tuple[str, JobKind], Lease])
    emitter: dict[str, str] = field(default_factory=dict[str, str])
    unmarked: set[str] = field(default_factory=set[str])
    published: dict[str, EventRow] = field(default_factory=dict[str, EventRow])
    timers: dict[str, tuple[int, EventRow, str]] = field(default_factory=dict[str, tuple[int, EventRow, str]])
    letters: dict[tuple[str, JobKind], bool] = field(default_factory=dict[tuple[str, JobKind], bool])
    stalled: set[str] = field(default_factory=set[str])
    held: list[str] = field(default_factory=list[str])
    arrived: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    fired: set[str] = field(default_factory=set[str])
    chain: list[str] | None = None
    done: list[str] = field(default_factory=list[str])
    below: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    tokens: int = 0
    places: int = 0

    # what makes events visible

    def emit(self, event: EventRow, step: str = "") -> None:
        self.unmarked.add(event.id)
        self.published[event.id] = event
        if step:
            self.emitter[event.id] = step

    def end_by(self, event: EventRow, closing: bool = False) -> bool:
        """The first ending event of a running run decides."""
        if self.phase != "running" or closing:
            return False
        if event.name in self.contract.completes:
            self.phase, self.reason, self.end_event = "completed", event.name, event.id
            self.leave_running()
            self.paused = False
            return True
        if event.name in self.contract.fails:
            self.fail_run(event.name, event.id)
            return True
        return False

    def fail_run(self, reason: str, end_event: str = "") -> None:
        hold_to(self.phase == "running", f"a run that is {self.phase} fails once more")
        self.phase, self.reason, self.end_event = "compensating", reason, end_event
        self.leave_running()
        self.arrived = {worker: got for worker, got in self.arrived.items() if worker in self.fired}

    def leave_running(self) -> None:
        self.timers.clear()
        self.deadline = 0
        self.stalled.clear()

    # what answers say

    def granted(self, message: Message, token: int, until: int, now: int) -> None:
        """P1: nobody else holds the job; P5: nothing new begins in a failing run, and undos keep their order."""
        lease = self.leases.get((message.step, message.kind))
        hold_to(lease is None or lease.until <= now, f"P1: {message.step} is granted twice at a time")
        hold_to(token > self.tokens, f"P6: token {token} is not larger than {self.tokens}")
        hold_to(not self.paused, f"P8: {message.step} begins although the run is paused")
        self.tokens = token
        self.leases[message.step, message.kind] = Lease(token, until)
        if message.kind == "undo":
            hold_to(message.step in self.due(), f"P5: the undo of {message.step} is not due")
            return
        job = self.jobs.get(message.step)
        if job is None and message.event is not None:
            job = self.jobs[message.step] = Job(
                worker=message.worker,
                event=message.event.id,
                first=token,
                closing=self.is_closing(message.event),
                undo=self.terms[message.worker].compensation,
            )
        hold_to(job is not None and not job.place, f"P1: {message.step} begins after its commit")
        allowed = self.phase in ("running", "completed") or (job is not None and job.closing)
        hold_to(allowed, f"P5: {message.step} begins in a run that is {self.phase}")

    def is_closing(self, event: EventRow) -> bool:
        if event.name.startswith("pavane.") and event.name != JOINED:
            return True
        if self.phase == "running":
            return False
        cause = self.jobs.get(self.emitter.get(event.id, ""))
        return event.id == self.end_event or (cause is not None and cause.closing)

    def holds(self, step: str, kind: JobKind, token: int) -> bool:
        lease = self.leases.get((step, kind))
        return lease is not None and lease.token == token

    def let_go(self, step: str, kind: JobKind) -> None:
        self.leases.pop((step, kind), None)

    def late(self, step: str) -> bool:
        return self.phase == "compensating" and not self.jobs[step].closing

    def committed(self, call: Commit, *, late: bool, now: int) -> None:
        hold_to(self.holds(call.step, "step", call.token), f"P6: token {call.token} commits {call.step}")
        hold_to(late == self.late(call.step), f"P5: {call.step} is {'' if late else 'not '}late")
        job = self.jobs[call.step]
        hold_to(not job.place, f"P1: {call.step} commits twice")
        self.let_go(call.step, "step")
        self.places += 1
        job.place, job.result = self.places, call.events[0].name if call.events else ""
        job.failed_run = any(event.name in self.contract.fails for event in call.events)
        if late:
            return
        for event in call.events:
            self.emit(event, call.step)
        self.set_timers(call.timers, call.step, now)
        for event in call.events:
            if self.end_by(event, job.closing):
                break

    def set_timers(self, timers: Iterable[TimerSet], step: str, now: int) -> None:
        if self.phase == "running":
            self.timers.update({timer.key: (now + timer.at, timer.event, step) for timer in timers})

    def undone(self, step: str) -> None:
        hold_to(not self.jobs[step].undone, f"P5: {step} is undone twice")
        self.jobs[step].undone = True
        self.done.append(step)
        self.let_go(step, "undo")

    def died(self, message: Message, given: Verdict) -> None:
        """A letter is written; what its policy says happens in the same call, once."""
        self.let_go(message.step, message.kind)
        job = self.jobs.get(message.step)
        closing = job is not None and job.closing
        running = self.phase == "running" and not closing
        policy = given.policy if running or self.phase == "completed" or closing else "stall"
        if policy == "compensate" and not running:
            policy = "stall"
        if message.kind == "undo":
            policy = "stall"
            self.stalled.add(f"undo_stuck:{message.step}")
        self.letters[message.step, message.kind] = policy != "stall"
        if policy == "answer" and given.answer is not None:
            self.emit(given.answer, message.step)
            self.end_by(given.answer, closing)
        elif policy == "compensate":
            self.fail_run("step_dead")
        elif running and message.kind == "step":
            self.stalled.add(f"dead:{message.step}")

    def letter_gone(self, step: str, kind: JobKind) -> None:
        self.letters.pop((step, kind), None)
        self.stalled -= {f"dead:{step}", f"undo_stuck:{step}"}

    def skipped(self, call: Skip) -> None:
        job = self.jobs.setdefault(call.step, Job(worker="", event="", first=0, closing=False, undo=None))
        hold_to(not job.place, f"P1: {call.step} is skipped after its commit")
        self.let_go(call.step, "step")
        self.letter_gone(call.step, "step")
        self.stalled.discard(f"discarded:{call.step}")
        self.places += 1
        job.place, job.skipped = self.places, True
        self.emit(call.event, call.step)
        self.end_by(call.event, job.closing)

    def arrives(self, message: Message) -> None:
        """The first event of each name counts; the last of them fires the join, and only in a run that goes on."""
        hold_to(
            self.phase in ("running", "completed"), f"a join takes an arrival in a run that is {self.phase}"
        )
        hold_to(not self.paused, "a join takes an arrival in a paused run")
        if message.event is None or message.worker in self.fired:
            return
        got = self.arrived.setdefault(message.worker, {})
        got.setdefault(message.event.name, message.event.id)
        if len(got) == len(WORKERS[message.worker].takes):
            self.fired.add(message.worker)

    def passes(self, now: int) -> None:
        """Time as the relay sees it: timers in their order, then the deadline."""
        for at, key in sorted((at, key) for key, (at, _, _) in self.timers.items() if at <= now):
            if key in self.timers:
                _, event, step = self.timers.pop(key)
                hold_to(at <= now, "P7: a timer fires early")
                self.emit(event, step)
                self.end_by(event)
        if self.phase == "running" and 0 < self.deadline <= now:
            self.fail_run("deadline")

    # P5

    def settle(self) -> None:
        """When no lease is left that undo waits for, the chain is what P5 names; when it is done, the run is over."""
        if self.phase == "compensating":
            if self.chain is None and not any(self.waited_for(*key) for key in self.leases):
                self.chain = self.whom_to_undo()
                self.below = {step: self.caused_by(step) & set(self.chain) for step in self.chain}
            if self.chain is not None and (self.leave or len(self.done) == len(self.chain)):
                undone = "compensated" if self.chain else "failed"
                self.phase = "cancelled" if self.cancelling else undone
        if self.phase not in ("running", "compensating"):
            self.paused = False
            self.stalled.clear()

    def waited_for(self, step: str, kind: JobKind) -> bool:
        return kind == "step" and not self.jobs[step].closing

    def whom_to_undo(self) -> list[str]:
        """Unknown outcomes, the latest begun first; then the others, the latest committed (or skipped) first."""
        named = [step for step, job in self.jobs.items() if job.first and self.is_named(job)]
        unknown = [step for step in named if not self.jobs[step].place]
        others = [step for step in named if self.jobs[step].place]
        unknown.sort(key=lambda step: -self.jobs[step].first)
        others.sort(key=lambda step: -self.jobs[step].place)
        return unknown + others

    def is_named(self, job: Job) -> bool:
        if job.undo is None or job.closing or job.failed_run:
            return False
        if job.place and not job.skipped:
            return job.undo.admits is None or job.result in job.undo.admits
        return job.undo.uncertain

    def caused_by(self, step: str) -> set[str]:
        """All steps that a step caused, near and far."""
        known = self.jobs.keys() | set(
            self.emitter.values()
        )  # a dead job that never began may have been answered
        found: set[str] = set()
        more = {step}
        while more:
            more = {
                other
                for other in known - found
                if any(self.emitter.get(id_) in more for id_ in self.began_with(other))
            }
            found |= more
        return found

    def began_with(self, step: str) -> list[str]:
        worker, _, event = step.partition(":")
        if event.startswith("joined/") and worker in self.fired:
            return list(self.arrived[worker].values())
        return [event]

    def due(self) -> list[str]:
        """The steps whose undo may be at work now."""
        if self.phase != "compensating" or self.chain is None:
            return []
        open_ = [step for step in self.chain if not self.jobs[step].undone]
        if self.contract.undo == "sequential":
            return open_[:1]
        return [step for step in open_ if not self.below[step] & set(open_)]
