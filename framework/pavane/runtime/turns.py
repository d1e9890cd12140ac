"""Waiting for a rate limit: a job asks for its turn before it begins, so that waiting holds no lease.

A job that waits for a limit of its worker stays unacknowledged in this process. So the prefetch fills up, and the rest
stays in the queue, where it is seen and keeps its order. With a key, the next job may be one that need not wait: then a
job that is too early goes to the delay wheel, as it does where its turn is far away.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import Any, Literal

from pavane.core.answers import Committed, Dead, Refused, Stale
from pavane.core.begin import NO_JOB, begin
from pavane.core.limiting import Rate, interval_of
from pavane.core.record import JOINED
from pavane.errors import UsageError
from pavane.model.limits import RateLimit
from pavane.runtime import copies
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject

HELD_FOR = 60_000
"""Milliseconds that a delivery is held for its turn at most; RabbitMQ takes back what is held for half an hour."""

LOOK_UP = 250
"""Milliseconds after which a waiting job looks up to see whether its process is to stop."""


def rate_of(subject: Subject) -> Rate | None:
    """The limit that a job is under; `None`: it may begin at once.

    Raises:
        UsageError: the limit's key cannot be computed from the event.
    """
    limit = subject.worker.rate_limit
    joining = subject.worker.joins and subject.envelope.event.name != JOINED
    if limit is None or subject.kind == "undo" or joining:
        return None
    limiter = limit.name if limit.key is None else f"{limit.name}/{digest_of(limit, subject)}"
    return Rate(limiter=limiter, interval=interval_of(limit.count, limit.per_ms), burst=limit.burst)


def digest_of(limit: RateLimit, subject: Subject) -> str:
    """The key of a job's event, short whatever it is, and without anything that means something to a store."""
    assert limit.key is not None
    try:
        key: Any = limit.key(subject.event)
    except Exception as error:
        raise UsageError(
            f"The key of {limit.name}'s rate limit: {type(error).__name__}: {error}",
            remedy="Mend the function, deploy it, then redrive.",
        ) from error
    if not isinstance(key, str):
        raise UsageError(f"The key of {limit.name}'s rate limit is text, not {type(key).__name__}.")
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


async def wait_for_turn(crew: Crew, subject: Subject, rate: Rate) -> Literal["taken", "not needed", "later"]:
    """Wait until it is the job's turn; `later`: it comes back when it is, or when another process has it.

    `not needed`: `begin` will not grant it, so that there is nothing to limit.
    """
    generation = subject.envelope.generation
    job = f"{subject.step}/{generation}"
    keyed = subject.worker.rate_limit is not None and subject.worker.rate_limit.key is not None
    while wait := await crew.patience.insist("state", partial(crew.store.take_turn, rate, job)):
        if await is_over(crew, subject):
            return "not needed"
        if keyed or wait > HELD_FOR:
            await copies.send_again(crew, subject.delivery, generation, wait)
            subject.delivery.ack()
            return "later"
        while wait > 0 and not crew.stopping:
            await crew.clock.sleep(min(wait, LOOK_UP))
            wait -= LOOK_UP
        if crew.stopping:
            return "later"
    return "taken"


async def is_over(crew: Crew, subject: Subject) -> bool:
    """Whether the job is done, dead or refused by now, or this is an old copy of it: none is ever granted again."""
    record = await crew.patience.insist("state", partial(crew.store.read, subject.record))
    call = subject.begin(crew, "", ended=(), alone=False, verdict=None)
    _, answer = begin(record, call, crew.clock.now())
    match answer:
        case Committed() | Dead() | Stale():
            return True
        case Refused():
            return answer.reason not in NO_JOB
        case _:
            return False


async def give_turn_back(crew: Crew, rate: Rate) -> None:
    """The job did not run."""
    await crew.patience.insist("state", partial(crew.store.give_back_turn, rate))
