"""What one delivery is about: which job, of which record, and what its worker says of such jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pavane.core import identity
from pavane.core.calls import Begin, Hold, JoinSpec, Verdict
from pavane.core.envelope import Envelope
from pavane.core.record import JOINED, EventRow, JobKind, UndoSpec
from pavane.errors import UnknownEvent
from pavane.model import wire
from pavane.model.definition import WorkerDefinition
from pavane.model.event import Event
from pavane.model.policies import RetryPolicy
from pavane.model.workflow import Workflow
from pavane.ports.broker import Delivery
from pavane.runtime.crew import Crew


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A job, as a delivery presents it.

    Attributes:
        record: key of the record it belongs to.
        event: the validated event; `None` for an undo and a join's own job, whose events come from the record.
        starts: the workflow that the event starts, with the run's id.
    """

    worker: WorkerDefinition
    delivery: Delivery
    envelope: Envelope
    record: str
    step: str
    event: Event | None
    starts: Workflow[Any, Any] | None = None
    run_id: str = ""

    @property
    def kind(self) -> JobKind:
        return self.envelope.kind

    @property
    def retry(self) -> RetryPolicy:
        undo = self.worker.compensation
        return undo.retry if self.kind == "undo" and undo is not None else self.worker.retry

    @property
    def timeout(self) -> int:
        """Milliseconds that one attempt may take."""
        undo = self.worker.compensation
        return undo.timeout_ms if self.kind == "undo" and undo is not None else self.worker.timeout_ms

    @property
    def renew_every(self) -> int:
        return self.worker.renew_every_ms

    @property
    def step_timeout(self) -> int:
        return self.worker.step_timeout_ms or 0 if self.kind == "step" else 0

    @property
    def letter(self) -> str:
        """Id of the job's dead letter, should it die."""
        return identity.letter_id(self.record, self.step, self.kind)

    def join(self, now: int) -> JoinSpec | None:
        """What an `on_all` worker waits for. Its own event takes the place of the delivery that completes it."""
        if not self.worker.joins:
            return None
        names = tuple(event.event_name for event in self.worker.events)
        event = self.envelope.event
        if event.name == JOINED:
            return JoinSpec(event=event, names=names)
        joined = EventRow(
            id=identity.joined_id(self.record, self.worker.full_name),
            name=JOINED,
            version=1,
            time=now,
            payload=b"{}",
            producer="pavane",
            causation=event.id,
            hops=event.hops + 1,
            trace=event.trace,
        )
        return JoinSpec(event=joined, names=names)

    def begin(
        self, crew: Crew, begin_id: str, *, ended: tuple[int, ...], alone: bool, verdict: Verdict | None
    ) -> Begin:
        """The call that asks for this job's lease."""
        undo = self.worker.compensation
        return Begin(
            record=self.record,
            subscribed=crew.subscriptions.framework,
            step=self.step,
            worker=self.worker.full_name,
            kind=self.kind,
            event=self.envelope.event if self.kind == "step" else None,
            cause=self.envelope.cause,
            framework=self.envelope.event.name.startswith("pavane.") and self.envelope.event.name != JOINED,
            edited=self.envelope.edited != "",
            generation=self.envelope.generation,
            begin_id=begin_id,
            host=crew.host,
            lease=self.worker.lease_ms,
            alone=alone,
            ended=ended,
            run_id=self.run_id,
            contract=crew.catalog.contract(self.starts) if self.starts else None,
            digest=identity.digest(self.envelope.event.payload) if self.starts else "",
            step_timeout=self.step_timeout,
            compensation=UndoSpec(uncertain=undo.uncertain, admits=undo.admits) if undo else None,
            join=self.join(crew.clock.now()),
            verdict=verdict,
        )

    def hold(self, crew: Crew) -> Hold:
        """The call that keeps this delivery with its paused run."""
        return Hold(
            record=self.record,
            subscribed=crew.subscriptions.framework,
            step=self.step,
            worker=self.worker.full_name,
            kind=self.kind,
            event=self.envelope.event if self.kind == "step" else None,
            generation=self.envelope.generation,
        )


def subject_of(crew: Crew, worker: WorkerDefinition, delivery: Delivery, envelope: Envelope) -> Subject:
    """Validate an event and find the run it belongs to, or the step that a wake-up means.

    Raises:
        MessageError: the payload is not what the worker takes.
        UsageError: the workflow's `run_id` cannot be computed from it.
    """
    if envelope.kind == "undo":
        return Subject(
            worker=worker,
            delivery=delivery,
            envelope=envelope,
            record=envelope.run,
            step=envelope.step,
            event=None,
        )
    if is_joined(worker, envelope):
        return Subject(
            worker=worker,
            delivery=delivery,
            envelope=envelope,
            record=envelope.run,
            step=identity.step_id(worker.full_name, envelope.event.id),
            event=None,
        )
    name = envelope.event.name
    event_class = worker.event_class(name)
    if event_class is None:
        raise UnknownEvent(
            f"{worker.full_name} takes no {name}.", remedy="Deploy the version that takes it, then redrive."
        )
    event = wire.decode(event_class, delivery.message.body, envelope.event.version)
    # An edited event starts nothing: its job belongs to the record whose letter was edited.
    workflow = None if envelope.edited else crew.catalog.started_by(name)
    run_id = workflow.run_id_of(event, envelope.event.id) if workflow else ""
    if workflow is not None:
        record = identity.run_key(workflow.name, run_id)
    else:
        record = envelope.edited or envelope.run or identity.loose_key(envelope.event.id)
    return Subject(
        worker=worker,
        delivery=delivery,
        envelope=envelope,
        record=record,
        step=identity.step_id(worker.full_name, envelope.event.id),
        event=event,
        starts=workflow,
        run_id=run_id,
    )


def is_joined(worker: WorkerDefinition, envelope: Envelope) -> bool:
    """Whether a delivery is the own job of a worker's join: by its id, which only run and worker make."""
    event = envelope.event
    return (
        worker.joins
        and event.name == JOINED
        and event.id == identity.joined_id(envelope.run, worker.full_name)
    )
