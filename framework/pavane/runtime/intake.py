"""What RabbitMQ dead-letters by itself: recorded like any other dead letter, or put back if it never began."""

from __future__ import annotations

import logging

from pavane.core import envelope
from pavane.core.answers import Committed, Dead, PutBack, Stale, UnknownRun
from pavane.core.calls import CopyMark, Reject, Verdict
from pavane.core.envelope import Envelope
from pavane.core.record import EventRow
from pavane.core.topology import DELIVERY_LIMIT
from pavane.errors import MessageError, Undecodable, UsageError
from pavane.model.definition import WorkerDefinition
from pavane.ports.broker import Delivery, Message, ToDeadLetters
from pavane.runtime import copies, handling, rejection, verdicts
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject, subject_of

log = logging.getLogger("pavane")


class Intake:
    """Settles the intake of one service."""

    def __init__(self, crew: Crew, service: str) -> None:
        self._crew = crew
        self._service = service

    async def settle(self, delivery: Delivery) -> None:
        """Find the worker that a message was meant for, and dead-letter it there."""
        crew = self._crew
        source = delivery.source_queue or ""
        worker = self._worker_of(source)
        if worker is None:
            await self._pass_on(delivery, source)
            return
        read: Envelope | None = None
        try:
            if delivery.problem:
                raise Undecodable(delivery.problem)
            read = envelope.read(
                delivery.message.headers, delivery.message.body, delivery.message.content_type
            )
            subject = subject_of(crew, worker, delivery, read)
        except (MessageError, UsageError) as error:
            await rejection.reject_message(crew, worker, delivery, read, error)
            return
        await self._given_up(subject, source)

    def _worker_of(self, source: str) -> WorkerDefinition | None:
        names = self._crew.catalog.names
        for worker in self._crew.catalog.workers.values():
            if source in (
                names.queue(worker.service, worker.name),
                names.undo_queue(worker.service, worker.name),
            ):
                return worker
        return None

    async def _pass_on(self, delivery: Delivery, source: str) -> None:
        """A letter that was looked at too often goes back to its queue; what nobody here knows is parked."""
        crew = self._crew
        message = delivery.message
        copy = Message(
            body=message.body,
            headers={name: value for name, value in message.headers.items() if not name.startswith("x-")},
            content_type=message.content_type,
        )
        known = source.startswith(crew.catalog.names.dead_letter_queue(self._service, ""))
        address = ToDeadLetters(source if known else crew.catalog.names.parked)
        log.warning("intake of %s: a message from %s goes to %s", self._service, source or "?", address.queue)
        await crew.patience.insist("broker", lambda: crew.broker.publish(copy, address), routable=True)
        delivery.ack()

    async def _given_up(self, subject: Subject, source: str) -> None:
        """The broker gave up on a job: once more if it never began, else its dead letter."""
        crew = self._crew
        reject = Reject(
            record=subject.record,
            subscribed=crew.subscriptions.framework,
            step=subject.step,
            worker=subject.worker.full_name,
            kind=subject.kind,
            generation=subject.envelope.generation,
            event=subject.envelope.event if subject.kind == "step" else None,
            own_record=subject.record.startswith("~"),
            delivery_limit=True,
            verdict=self._verdict(subject, await handling.joined_rows(crew, subject)),
        )
        answer = await crew.patience.insist("state", lambda: crew.store.reject(reject))
        if not isinstance(answer, UnknownRun):
            crew.passed("reject", subject.worker.full_name, subject.kind)
        match answer:
            case UnknownRun() if subject.starts is not None:
                await self._back(subject, source, 0)
            case UnknownRun():
                error = rejection.unknown_run(subject.record, subject.envelope.event.name)
                await rejection.reject_message(
                    crew, subject.worker, subject.delivery, subject.envelope, error
                )
                return
            case PutBack():
                await self._back(subject, source, answer.delay)
            case Dead():
                await crew.outbox.publish(subject.record, answer.rows)
                if answer.publish:
                    await copies.send_letter(
                        crew,
                        subject.delivery,
                        subject.record,
                        answer.letter,
                        subject.kind,
                        answer.generation,
                    )
            case Committed():
                await crew.outbox.publish(subject.record, answer.rows)
            case Stale() if answer.publish == "retry":
                newer = CopyMark(step=subject.step, kind=subject.kind, generation=answer.generation)
                await copies.send_newer(crew, subject.delivery, source, subject.record, newer, answer.delay)
            case Stale():
                log.info("%s: a newer copy is on its way", subject.step)
        subject.delivery.ack()

    def _verdict(self, subject: Subject, joined: tuple[EventRow, ...]) -> Verdict:
        return verdicts.verdict(
            self._crew,
            subject,
            reason="delivery_limit",
            attempts=0,
            error=f"delivered {DELIVERY_LIMIT} times and never acknowledged; probably innocent",
            error_type="DeliveryLimit",
            joined=joined,
        )

    async def _back(self, subject: Subject, source: str, delay: int) -> None:
        await copies.send_to(self._crew, subject.delivery, source, subject.envelope.generation, delay)
