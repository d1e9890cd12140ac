"""The floor of the walks: one run whose workers have every shape there is, and the messages between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pavane.core.calls import JoinSpec, Policy, Verdict
from pavane.core.kept import JOINED
from pavane.core.record import Contract, EventRow, JobKind, Letter, UndoSpec

RUN = "walk:1"
START = 1_000_000
LEASE = 30_000
COMPLETES, FAILS = ("good",), ("bad", "worse")
FRAMEWORK = ("pavane.step_dead_lettered", "pavane.run_stalled", "pavane.run_ended")

Draw = Callable[[int], int]
"""A whole number from 0 up to, not including, its argument: where all chance of a walk comes from."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What a worker takes, and what it may emit: one of `outcomes` with each commit, its first event the result."""

    name: str
    takes: tuple[str, ...]
    outcomes: tuple[tuple[str, ...], ...]
    joins: bool = False
    timer: str = ""


WORKERS = {
    worker.name: worker
    for worker in (
        Worker(name="w.flight", takes=("start",), outcomes=(("flight",), ("flight", "leg"), ("bad",))),
        Worker(name="w.hotel", takes=("start",), outcomes=(("hotel",), ("hotel",), ("bad", "leg"))),
        Worker(name="w.remind", takes=("start",), outcomes=((), ("leg",)), timer="rung"),
        Worker(name="w.seat", takes=("flight",), outcomes=(("seat",), (), ("worse",))),
        Worker(name="w.meal", takes=("seat", "leg", "rung"), outcomes=(("meal",), (), ("good",))),
        Worker(name="w.both", takes=("flight", "hotel"), outcomes=(("both",), ("bad",)), joins=True),
        Worker(name="w.end", takes=("both", "meal"), outcomes=(("good",), (), ("worse",))),
        Worker(name="w.tell", takes=("bad", "good"), outcomes=(("told",), ("leg",))),
        Worker(name="w.file", takes=("told",), outcomes=((),)),
        Worker(name="w.watch", takes=FRAMEWORK, outcomes=((), ("told",))),
    )
}
TAKERS: dict[str, list[Worker]] = {}
for _worker in WORKERS.values():
    for _name in _worker.takes:
        TAKERS.setdefault(_name, []).append(_worker)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a worker's definition says in one walk."""

    compensation: UndoSpec | None
    policy: Policy
    answer: str


class Message(NamedTuple):
    """A delivery of a job or of an undo's wake-up."""

    kind: JobKind
    worker: str
    step: str
    event: EventRow | None
    generation: int


class LetterMessage(NamedTuple):
    """A dead letter in its queue."""

    message: Message
    letter: str


def terms(draw: Draw) -> dict[str, Terms]:
    """Definitions for one walk."""
    found: dict[str, Terms] = {}
    for worker in WORKERS.values():
        first = worker.outcomes[0][:1]
        specs = (None, UndoSpec(), UndoSpec(), UndoSpec(uncertain=False), UndoSpec(admits=first))
        policies: tuple[Policy, ...] = ("stall", "stall", "stall", "compensate", "answer")
        found[worker.name] = Terms(
            compensation=specs[draw(len(specs))],
            policy=policies[draw(len(policies))],
            answer=("leg", "bad", "good")[draw(3)],
        )
    return found


def contract(draw: Draw) -> Contract:
    return Contract(
        workflow="walk",
        completes=COMPLETES,
        fails=FAILS,
        undo="parallel" if draw(2) else "sequential",
        deadline=(0, 0, 90_000)[draw(3)],
        idle_after=600_000,
    )


def event(id_: str, name: str, *, cause: Message | None = None) -> EventRow:
    """An event; `cause` is the delivery whose step emits it."""
    causation = cause.event.id if cause is not None and cause.event is not None else ""
    producer = cause.worker if cause is not None else "outside"
    return EventRow(
        id=id_, name=name, version=1, time=START, payload=b"{}", producer=producer, causation=causation
    )


def join_spec(worker: Worker, delivered: EventRow) -> JoinSpec:
    """What a delivery to a joining worker says of the join. Its own event comes as it is."""
    own = (
        delivered
        if delivered.name == JOINED
        else EventRow(
            id=f"joined/{worker.name}",
            name=JOINED,
            version=1,
            time=START,
            payload=b"{}",
            producer="pavane",
            causation=delivered.id,
        )
    )
    return JoinSpec(event=own, names=worker.takes)


def verdict(message: Message, given: Terms, reason: str) -> Verdict:
    """What the process decides about an exhausted job."""
    policy: Policy = given.policy if message.kind == "step" else "stall"
    letter = Letter(
        id=f"letter/{message.kind}/{message.step}",
        kind=message.kind,
        step=message.step,
        worker=message.worker,
        event=message.event.id if message.event else "",
        reason=reason,
        error="boom",
        error_type="Boom",
    )
    answer = event(f"{message.step}/answer", given.answer, cause=message) if policy == "answer" else None
    return Verdict(letter=letter, policy=policy, answer=answer)
