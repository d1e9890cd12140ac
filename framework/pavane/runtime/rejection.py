"""Messages that cannot become jobs: dead-lettered at first sight, with their bytes, and never retried."""

from __future__ import annotations

import base64
import logging

from pavane.core import identity
from pavane.core.answers import Committed, Dead, PutBack, RejectAnswer, Stale, UnknownRun
from pavane.core.calls import CopyMark, Reject, Verdict
from pavane.core.envelope import GENERATION, STEP, WAIT_UNTIL, Envelope, copy_headers, number
from pavane.core.record import JobKind, Letter
from pavane.errors import PavaneError, Undecodable
from pavane.errors import UnknownRun as UnknownRunError
from pavane.model.definition import WorkerDefinition
from pavane.ports.broker import Delivery
from pavane.runtime import copies
from pavane.runtime.crew import Crew
from pavane.runtime.verdicts import error_text, fingerprint

OURS = (STEP, WAIT_UNTIL)
"""Headers that a copy may have and the message it was made from had not."""

log = logging.getLogger("pavane")


def waits_for_deploy(worker: WorkerDefinition, envelope: Envelope, now: int) -> bool:
    """Whether a delivery is of a newer version than this worker knows, and may still wait for one that does."""
    event = worker.event_class(envelope.event.name) if envelope.kind == "step" else None
    if event is None or envelope.event.version <= event.event_version:
        return False
    return envelope.wait_until == 0 or now < envelope.wait_until


def unknown_run(record: str, event: str) -> UnknownRunError:
    """Why an event of a run that does not exist cannot be worked on."""
    return UnknownRunError(
        f"There is no run {record}, and {event} starts none.", remedy="Start the run first, then redrive."
    )


async def reject_message(
    crew: Crew, worker: WorkerDefinition, delivery: Delivery, envelope: Envelope | None, error: PavaneError
) -> None:
    """Dead-letter a delivery because of `error`, in its run's record if it names a run that exists."""
    log.warning("%s: a message is dead-lettered: %s", worker.full_name, error)
    event = envelope.event if envelope else None
    kind: JobKind = envelope.kind if envelope else "step"
    step = (
        envelope.step
        if envelope and envelope.step
        else identity.step_id(worker.full_name, event.id if event else nameless_id(delivery))
    )
    answer: RejectAnswer = UnknownRun()
    record = envelope.edited or envelope.run if envelope and error.code != "unknown_run" else ""
    if record:
        answer = await reject(crew, worker, delivery, envelope, error, record=record, step=step, kind=kind)
    if isinstance(answer, UnknownRun):
        record = identity.loose_key(identity.letter_id(worker.full_name, step, kind))
        answer = await reject(crew, worker, delivery, envelope, error, record=record, step=step, kind="step")
    await settle_rejected(crew, delivery, record, step, answer, kind)


def nameless_id(delivery: Delivery) -> str:
    """Stands in for the id of an event that cannot be read: the same for each delivery of one message.

    What pavane itself adds to a redriven copy does not count, so the copy is known for what it is. Two messages
    that are alike in everything are one message.
    """
    message = delivery.message
    headers = sorted(
        (name, value) for name, value in copy_headers(message.headers, 0).items() if name not in OURS
    )
    about = repr((message.content_type, headers, delivery.problem))
    return identity.digest(about.encode() + message.body)


def generation_of(delivery: Delivery) -> int:
    """Read by itself, because a redriven letter has one even if nothing else of it can be read: with a lower
    generation than its row's it would be taken for an old copy, and dropped."""
    return number(delivery.message.headers, GENERATION, default=0)


async def reject(
    crew: Crew,
    worker: WorkerDefinition,
    delivery: Delivery,
    envelope: Envelope | None,
    error: PavaneError,
    *,
    record: str,
    step: str,
    kind: JobKind,
) -> RejectAnswer:
    """Record the letter; the store answers what to do with the delivery."""
    event = envelope.event if envelope else None
    unreadable = event is None or isinstance(error, Undecodable)
    letter = Letter(
        id=identity.letter_id(record, step, kind),
        kind="message",
        step=step,
        worker=worker.full_name,
        event=event.id if event else "",
        reason=error.code,
        error=error_text(error),
        error_type=type(error).__name__,
        fingerprint=fingerprint(worker.full_name, error.code, ""),
        headers=tuple(sorted((name, str(value)) for name, value in delivery.message.headers.items())),
        raw=base64.b64encode(delivery.message.body[: crew.settings.max_body]).decode() if unreadable else "",
    )
    call = Reject(
        record=record,
        subscribed=crew.subscriptions.framework,
        step=step,
        worker=worker.full_name,
        kind=kind,
        generation=generation_of(delivery),
        event=event,
        own_record=record.startswith("~"),
        verdict=Verdict(letter=letter),
    )
    answer = await crew.patience.insist("state", lambda: crew.store.reject(call))
    if not isinstance(answer, UnknownRun):
        crew.passed("reject", worker.full_name, kind)
    return answer


async def settle_rejected(
    crew: Crew, delivery: Delivery, record: str, step: str, answer: RejectAnswer, kind: JobKind
) -> None:
    """Do with the delivery what the store has decided, then acknowledge it."""
    queue = delivery.source_queue or delivery.queue
    match answer:
        case Dead():
            await crew.outbox.publish(record, answer.rows)
            if answer.publish:
                await copies.send_letter(crew, delivery, record, answer.letter, kind, answer.generation)
        case Committed():
            await crew.outbox.publish(record, answer.rows)
        case PutBack():
            await copies.send_to(crew, delivery, queue, generation_of(delivery), answer.delay)
        case Stale() if answer.publish == "retry":
            newer = CopyMark(step=step, kind=kind, generation=answer.generation)
            await copies.send_newer(crew, delivery, queue, record, newer, answer.delay)
        case Stale() | UnknownRun():
            log.info("%s: nothing is left to do for a message of %s", delivery.queue, record)
    delivery.ack()
