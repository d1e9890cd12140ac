"""Failed attempts: recorded, then tried again over the delay wheel, or dead-lettered."""

from __future__ import annotations

import logging

from pavane.core import backoff
from pavane.core.answers import Dead, Exhausted, FailAnswer, Fenced, Granted, Recorded, Released, Retrying
from pavane.core.calls import Fail, Release, Verdict
from pavane.errors import NotNow, Reject, Retry, UsageError
from pavane.model.duration import to_ms
from pavane.model.intentions import Intentions
from pavane.runtime import copies, handling, verdicts
from pavane.runtime.attempt import Raised
from pavane.runtime.crew import Crew
from pavane.runtime.subject import Subject

log = logging.getLogger("pavane")


async def fail(crew: Crew, subject: Subject, granted: Granted, raised: Raised) -> int | None:
    """Record how an attempt failed and settle its delivery; the token, if somebody else has the job by now."""
    error = raised.error
    if isinstance(error, NotNow):
        return await snooze(crew, subject, granted, error)
    log.warning(
        "%s failed (attempt %d): %s: %s",
        subject.step,
        granted.attempt,
        type(error).__name__,
        verdicts.error_text(error),
    )
    call = fail_call(crew, subject, granted, raised, None)
    answer = await ask(crew, call)
    if isinstance(answer, Exhausted):
        joined = await handling.joined_rows(crew, subject, granted)
        verdict = verdicts.of_answer(crew, subject, answer, error, joined=joined)
        answer = await ask(crew, fail_call(crew, subject, granted, raised, verdict, delay=call.delay))
    crew.passed("fail", subject.worker.full_name, subject.kind)
    match answer:
        case Retrying():
            await copies.send_retry(crew, subject, answer.generation, answer.delay)
        case Dead():
            await settle_dead(crew, subject, answer)
        case Recorded():
            await crew.outbox.publish(subject.record, answer.rows)
        case Fenced():
            return granted.token
        case Exhausted():
            raise AssertionError("the store asked for a verdict that it was given")
    subject.delivery.ack()
    return None


def warn_of_withheld(subject: Subject, intentions: Intentions, raised: Raised) -> None:
    """Say that nothing of a failed attempt is published: who emits a failure and then raises expects otherwise."""
    if intentions.emitted and not isinstance(raised.error, NotNow):
        names = dict.fromkeys(type(event).__name__ for event in intentions.emitted)
        log.warning(
            "%s emitted %s and then raised %s: what a failed attempt emits is withheld. If that is how the step "
            "ends, return it instead of raising; if it says that all attempts have failed, make it by "
            ".on_exhausted(lambda event, failure: %s(...)).",
            subject.worker.full_name,
            ", ".join(names),
            type(raised.error).__name__,
            next(reversed(names)),
        )


async def ask(crew: Crew, call: Fail) -> FailAnswer:
    return await crew.patience.insist("state", lambda: crew.store.fail(call))


def fail_call(
    crew: Crew,
    subject: Subject,
    granted: Granted,
    raised: Raised,
    verdict: Verdict | None,
    *,
    delay: int | None = None,
) -> Fail:
    """What to record. Whether it was the last attempt is decided by the store."""
    error = raised.error
    rejected = isinstance(error, (Reject, UsageError)) or (
        not isinstance(error, Retry) and not raised.timed_out and subject.retry.rejects(error)
    )
    return Fail(
        record=subject.record,
        subscribed=crew.subscriptions.framework,
        step=subject.step,
        kind=subject.kind,
        token=granted.token,
        outcome="rejected" if rejected else "timed_out" if raised.timed_out else "failed",
        error=verdicts.error_text(error),
        error_type=type(error).__name__,
        delay=next_delay(crew, subject, granted, error) if delay is None else delay,
        max_attempts=subject.retry.max_attempts,
        step_timeout=subject.step_timeout,
        verdict=verdict,
    )


def next_delay(crew: Crew, subject: Subject, granted: Granted, error: BaseException) -> int:
    """Milliseconds until the next attempt: what the handler asked for, else drawn from the policy."""
    if isinstance(error, Retry) and error.after is not None:
        return backoff.round_up(to_ms(error.after))
    policy = subject.retry
    return backoff.delay(
        policy, granted.failures + 1, previous=granted.last_delay, chance=crew.random.random()
    )


async def snooze(crew: Crew, subject: Subject, granted: Granted, error: NotNow) -> int | None:
    """Try again later, without an attempt. Not beyond the step's deadline: there its job is exhausted."""
    after = backoff.round_up(to_ms(error.after))
    if subject.step_timeout:
        left = granted.step_started_at + subject.step_timeout - granted.now
        after = min(after, max(0, left))
    call = Release(
        record=subject.record,
        subscribed=crew.subscriptions.framework,
        step=subject.step,
        kind=subject.kind,
        token=granted.token,
        after=after,
        reason=verdicts.error_text(error),
    )
    answer = await crew.patience.insist("state", lambda: crew.store.release(call))
    if isinstance(answer, Fenced):
        return granted.token
    crew.passed("snooze", subject.worker.full_name, subject.kind)
    if isinstance(answer, Released):
        await copies.send_again(crew, subject.delivery, subject.envelope.generation, after)
        crew.passed("again_published", subject.worker.full_name, subject.kind)
    await crew.outbox.publish(subject.record, answer.rows)
    subject.delivery.ack()
    return None


async def settle_dead(crew: Crew, subject: Subject, answer: Dead) -> None:
    """Publish what was written with a letter, then the letter, if it is not known to be safe."""
    await crew.outbox.publish(subject.record, answer.rows)
    if answer.publish:
        await copies.send_letter(
            crew, subject.delivery, subject.record, answer.letter, subject.kind, answer.generation
        )
