"""The choreography: who hears and who sends which event, over all programs that take part in it.

Services are separate programs, and what is sent in one is heard in another, so a check has to see all of them.
`Program` is what one app says of itself, in plain values that a process can hand to another; `Choreography` is
all of them put together. What is wrong with one is decided in the modules beside this one, by functions over
these values alone:

    choreography_flow       orphan_event, unreachable_worker, cycle_without_timer
    choreography_endings    endless_workflow
    choreography_joins      unfillable_join
    choreography_work       missing_undo, undeclared_event, retry_exceeds_deadline, lease_exceeds_consumer_timeout,
                            default_timeout
    choreography_schemas    schema_mismatch
    choreography_findings   all of them, and what is accepted
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pavane.errors import DefinitionError, Problem
from pavane.model.names import RESERVED
from pavane.model.source import Place

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong with a choreography, or probably so.

    Attributes:
        code: stable, for programs.
        severity: `error` if it cannot be meant, `warning` if it may be.
        subject: `service.worker`, an event's or a workflow's name.
        remedy: what to do about it, a sentence.
        allowed: the reason for which an app accepts it; `None` if no app does.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    place: Place
    remedy: str
    allowed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undeclared:
    """An event that a handler's source sends and its worker does not declare."""

    event: str
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker, as the others see it.

    Attributes:
        name: `service.worker`.
        hears: the events it subscribes to.
        joins: it runs once in a run, when one of each of them is there; else each is a job of its own.
        results: what its handler may return; each is one way in which a step of it can end.
        extras: what it declares besides: sent, if at all, beside its result.
        answers: what its `on_exhausted` function makes.
        at_once: the part of all these that may be sent without a timer.
        undeclared: what its source sends and it does not declare.
        returns_only: its source shows that nothing leaves it beside what it returns: of `results` at most one.
        has_effect: its source passes the idempotency key or the fencing token on.
        compensates: an exhausted job of it fails the run.
        retries_ms: how long its failed attempts wait for each other, all together, as chance has it on average.
        limited_without_timeout: its throughput is bounded, and nobody has said how long an attempt may take.
        timeout_ms, step_timeout_ms, undo_timeout_ms: of one attempt, of all together, of an attempt of its undo.
    """

    name: str
    hears: tuple[str, ...]
    joins: bool = False
    results: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    at_once: tuple[str, ...] = ()
    undeclared: tuple[Undeclared, ...] = ()
    returns_only: bool = False
    has_effect: bool = False
    has_undo: bool = False
    compensates: bool = False
    retries_ms: int = 0
    lease_ms: int = 30_000
    timeout_ms: int = 60_000
    step_timeout_ms: int | None = None
    undo_timeout_ms: int | None = None
    max_dead_letters: int | None = None
    limited_without_timeout: bool = False
    place: Place = field(default_factory=Place)

    @property
    def sends(self) -> tuple[str, ...]:
        """Every event that can come from it."""
        return tuple(dict.fromkeys((*self.results, *self.extras, *self.answers)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A workflow: the events that start and end its runs."""

    name: str
    starts_with: str
    completes_with: tuple[str, ...]
    fails_with: tuple[str, ...] = ()
    deadline_ms: int | None = None
    place: Place = field(default_factory=Place)

    @property
    def endings(self) -> tuple[str, ...]:
        return (*self.completes_with, *self.fails_with)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """An event's class, as one program has it.

    Attributes:
        reads: the versions it takes.
        schema: JSON Schema of its own version; `None` if a field's type has none.
    """

    event: str
    version: int = 1
    reads: tuple[int, ...] = (1,)
    schema: Mapping[str, Any] | None = None
    place: Place = field(default_factory=Place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A finding that somebody accepts, and why."""

    code: str
    subject: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one app says of itself.

    Attributes:
        name: `module:app`, as it was loaded.
        outside: events that systems outside send.
        payloads: every event it speaks of, once.
    """

    name: str
    workers: tuple[Worker, ...] = ()
    workflows: tuple[Contract, ...] = ()
    outside: tuple[str, ...] = ()
    payloads: tuple[Payload, ...] = ()
    accepted: tuple[Accepted, ...] = ()


class Choreography:
    """All programs together: each worker and each workflow once.

    Raises:
        DefinitionError: the programs cannot run together: `duplicate_worker`, `start_event_shared`,
            `workflow_not_loaded`.
    """

    def __init__(self, programs: Iterable[Program]) -> None:
        self.programs = tuple(programs)
        problems = tuple(_problems(self.programs))
        if problems:
            raise DefinitionError(*problems)
        self.workers = tuple({one.name: one for each in self.programs for one in each.workers}.values())
        # The first one counts: where programs have different ones, `schema_mismatch` says so.
        workflows: dict[str, Contract] = {}
        for workflow in (one for each in self.programs for one in each.workflows):
            workflows.setdefault(workflow.name, workflow)
        self.workflows = tuple(workflows.values())
        self.outside = frozenset(event for each in self.programs for event in each.outside)
        self.starts = frozenset(one.starts_with for one in self.workflows)
        self.endings = frozenset(event for one in self.workflows for event in one.endings)
        self._hearing = _by_event((event, one) for one in self.workers for event in one.hears)
        self._sending = _by_event((event, one) for one in self.workers for event in one.sends)

    def hearing(self, event: str) -> tuple[Worker, ...]:
        """The workers that subscribe to it."""
        return tuple(self._hearing.get(event, ()))

    def sending(self, event: str) -> tuple[Worker, ...]:
        """The workers that can send it."""
        return tuple(self._sending.get(event, ()))

    def moving(self, event: str, workflow: Contract) -> tuple[Worker, ...]:
        """The workers whose steps on it move a run; after an ending there are only closing steps."""
        if is_closing(event, workflow):
            return ()
        hearing = self.hearing(event)
        return tuple(
            one for one in hearing if not (one.joins and any(is_closing(e, workflow) for e in one.hears))
        )

    def comes_from_outside(self, event: str) -> bool:
        """Whether it needs no worker to be sent: clients start runs, pavane sends its own events."""
        return event in self.outside or event in self.starts or event.startswith(RESERVED)

    def place_of(self, event: str) -> Place:
        """Where its class is defined, in the first program that speaks of it."""
        payloads = (one for each in self.programs for one in each.payloads if one.event == event)
        return next((one.place for one in payloads), Place())


def is_framework_event(event: str) -> bool:
    """Whether it speaks of a run: steps on it are closing steps and move no run."""
    return event.startswith(RESERVED)


def is_closing(event: str, workflow: Contract) -> bool:
    """Whether steps on it are closing steps of a run of the workflow."""
    return event in workflow.endings or is_framework_event(event)


def begins(worker: Worker, reached: Iterable[str]) -> bool:
    """Whether these events suffice for a job of the worker: a join needs every one of its events."""
    if worker.joins:
        return set(worker.hears).issubset(reached)
    return not set(worker.hears).isdisjoint(reached)


def _by_event(pairs: Iterable[tuple[str, Worker]]) -> dict[str, list[Worker]]:
    found: dict[str, list[Worker]] = {}
    for event, worker in pairs:
        found.setdefault(event, []).append(worker)
    return found


def _problems(programs: tuple[Program, ...]) -> Iterable[Problem]:
    """What an App checks for itself, between apps."""
    workers: dict[str, Worker] = {}
    starting: dict[str, Contract] = {}
    for worker in (one for each in programs for one in each.workers):
        known = workers.setdefault(worker.name, worker)
        if known.place != worker.place:
            message = f"{_shown(known.place)} defines a worker of this name too."
            yield _problem(
                "duplicate_worker", message, worker.name, worker.place, "Give one of them another name."
            )
    for workflow in (one for each in programs for one in each.workflows):
        first = starting.setdefault(workflow.starts_with, workflow)
        if first.name != workflow.name:
            message = f"it starts {first.name} and {workflow.name}; an event starts at most one workflow."
            remedy = "Let one of them start with another event, which a worker of the other may emit."
            yield _problem("start_event_shared", message, workflow.starts_with, workflow.place, remedy)
    for program in programs:
        loaded = {workflow.starts_with for workflow in program.workflows}
        for worker in program.workers:
            for event in worker.hears:
                if event in starting and event not in loaded:
                    name = starting[event].name
                    message = f"{event}, which it takes, starts {name}, and {program.name} lacks that."
                    remedy = f"Add {name} to App(workflows=[…])."
                    yield _problem("workflow_not_loaded", message, worker.name, worker.place, remedy)


def _shown(place: Place) -> str:
    return f"{place.file}:{place.line}"


def _problem(code: str, message: str, subject: str, place: Place, remedy: str) -> Problem:
    return Problem(
        code=code, message=message, subject=subject, file=place.file, line=place.line, remedy=remedy
    )
