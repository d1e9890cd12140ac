"""Copies of a delivery: to the delay wheel for another try, to the dead-letter queue for good."""

from __future__ import annotations

from pavane.core.calls import CopyMark
from pavane.core.envelope import WAIT_UNTIL, Envelope, copy_headers, letter_headers
from pavane.core.record import JobKind, Letter
from pavane.ports.broker import Delivery, Message, ToDeadLetters, ToQueue
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject

DEPLOY_WINDOW = 600_000
"""Milliseconds that an event of a newer version waits for the deployment of somebody who knows it."""

DEPLOY_PAUSE = 15_000
"""Between two looks whether the new version is there."""


async def send_again(crew: Crew, delivery: Delivery, generation: int, delay: int, **extra: int) -> None:
    """Put a copy of a delivery on the wheel, back to its own queue after `delay` milliseconds."""
    await send_to(crew, delivery, delivery.queue, generation, delay, **extra)


async def send_to(
    crew: Crew, delivery: Delivery, queue: str, generation: int, delay: int, **extra: int
) -> None:
    """Publish a copy of a delivery to a queue after `delay` milliseconds. Waits until it is taken."""
    message = delivery.message
    headers = copy_headers(message.headers, generation) | extra
    copy = Message(body=message.body, headers=headers, content_type=message.content_type)
    await crew.patience.insist(
        "broker", lambda: crew.broker.publish(copy, ToQueue(queue, delay)), routable=True
    )


async def wait_for_version(crew: Crew, delivery: Delivery, read: Envelope) -> None:
    """Put a delivery of a version that nobody here knows yet back for a while; it remembers how long it may wait."""
    until = read.wait_until or crew.clock.now() + DEPLOY_WINDOW
    await send_again(crew, delivery, read.generation, DEPLOY_PAUSE, **{WAIT_UNTIL: until})
    delivery.ack()


async def send_retry(crew: Crew, subject: Subject, generation: int, delay: int) -> None:
    """Publish the copy of a new generation, and mark it."""
    await send_again(crew, subject.delivery, generation, delay)
    crew.passed("retry_published", subject.worker.full_name, subject.kind)
    crew.outbox.mark_copy(
        subject.record, CopyMark(step=subject.step, kind=subject.kind, generation=generation)
    )


async def send_newer(
    crew: Crew, delivery: Delivery, queue: str, record: str, copy: CopyMark, delay: int
) -> None:
    """Publish the copy that should have replaced an old delivery but never was, and mark it."""
    await send_to(crew, delivery, queue, copy.generation, delay)
    crew.outbox.mark_copy(record, copy)


async def send_letter(
    crew: Crew, delivery: Delivery, record: str, letter: Letter, kind: JobKind, generation: int
) -> None:
    """Publish a dead letter, and mark it. Waits as long as its queue does not take it."""
    service, _, worker = letter.worker.partition(".")
    message = delivery.message
    copy = Message(
        body=message.body,
        headers=letter_headers(
            message.headers,
            letter=letter.id,
            reason=letter.reason,
            worker=letter.worker,
            record=record,
            step=letter.step,
            generation=generation,
        ),
        content_type=message.content_type,
    )
    address = ToDeadLetters(crew.catalog.names.dead_letter_queue(service, worker))
    await crew.patience.insist("broker", lambda: crew.broker.publish(copy, address), routable=True)
    crew.passed("dead_published", letter.worker, kind)
    crew.outbox.mark_copy(record, CopyMark(step=letter.step, kind=kind, generation=generation))
