"""What each worker says of itself, compared with the runs it takes part in and with the broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pavane.core.backoff import Policy, delay
from pavane.core.choreography import Choreography, Contract, Finding, Worker

CONSUMER_TIMEOUT_MS: Final = 1_800_000
"""RabbitMQ's default, which pavane's own configuration keeps: a message held longer is taken back."""

_DRAWN: Final = 200
"""Delays that are worked out one by one; after that many they do not grow any more."""


def work_findings(choreography: Choreography) -> Iterator[Finding]:
    """`missing_undo`, `undeclared_event`, `retry_exceeds_deadline`, `lease_exceeds_consumer_timeout` and
    `default_timeout`."""
    taking_part = {
        workflow.name: _workers_before_the_end(choreography, workflow) for workflow in choreography.workflows
    }
    for worker in choreography.workers:
        mine = [one for one in choreography.workflows if worker in taking_part[one.name]]
        yield from _undeclared(worker)
        yield from _missing_undo(worker, [one for one in mine if _can_fail(one, taking_part[one.name])])
        yield from _retries_too_long(worker, mine)
        yield from _held_too_long(worker)
        yield from _default_timeout(worker)


def retries_ms(policy: Policy, max_attempts: int) -> int:
    """How long the attempts of a job wait for each other if all of them fail, with a chance of one half."""
    total = previous = 0
    for failures in range(1, min(max_attempts, _DRAWN + 1)):
        previous = delay(policy, failures, previous=previous, chance=0.5)
        total += previous
    return total + previous * max(0, max_attempts - 1 - _DRAWN)


def _workers_before_the_end(choreography: Choreography, workflow: Contract) -> tuple[Worker, ...]:
    """The workers whose steps are part of a run, not only of its closing, whatever comes from outside."""
    found: list[Worker] = []
    seen = set[str]()
    ahead = [workflow.starts_with]
    while ahead:
        event = ahead.pop()
        if event in seen:
            continue
        seen.add(event)
        for worker in choreography.moving(event, workflow):
            if worker not in found:
                found.append(worker)
                ahead += [sent for sent in worker.sends if sent not in choreography.starts]
    return tuple(found)


def _can_fail(workflow: Contract, workers: tuple[Worker, ...]) -> bool:
    exhausted = any(worker.compensates for worker in workers)
    return bool(workflow.fails_with or workflow.deadline_ms or exhausted)


def _undeclared(worker: Worker) -> Iterator[Finding]:
    for one in worker.undeclared:
        yield Finding(
            code="undeclared_event",
            severity="error",
            subject=worker.name,
            message=f"It sends {one.event} and does not declare it: the job would become a dead letter.",
            place=one.place,
            remedy=f"Add {one.event} to .emits(…), or to the handler's return annotation.",
        )


def _missing_undo(worker: Worker, can_fail: list[Contract]) -> Iterator[Finding]:
    """It has an effect outside, the run may fail afterwards, and nothing takes the effect back."""
    if worker.has_undo or not worker.has_effect:
        return
    for workflow in can_fail:
        ends_the_run = bool(worker.sends) and set(worker.sends) <= set(workflow.endings)
        if not ends_the_run:
            yield Finding(
                code="missing_undo",
                severity="warning",
                subject=worker.name,
                message=f"It passes its idempotency key or fencing token on, so it has an effect outside; "
                f"if a run of {workflow.name} fails, nothing undoes that.",
                place=worker.place,
                remedy="Add .compensate_with(…), or accept it with Allow(…) if there is nothing to undo.",
            )
            return


def _retries_too_long(worker: Worker, workflows: list[Contract]) -> Iterator[Finding]:
    bounds = [(one.deadline_ms, f"the deadline of {one.name}") for one in workflows if one.deadline_ms]
    if worker.step_timeout_ms:
        bounds.append((worker.step_timeout_ms, "its own timeout(step=…)"))
    too_short = [(bound, what) for bound, what in bounds if worker.retries_ms >= bound]
    if too_short:
        bound, what = min(too_short)
        yield Finding(
            code="retry_exceeds_deadline",
            severity="warning",
            subject=worker.name,
            message=f"Its retries wait {_seconds(worker.retries_ms)} together, and {what} is "
            f"{_seconds(bound)}: its last attempts are never made.",
            place=worker.place,
            remedy="Give .retry(…) fewer attempts or shorter delays, or allow more time.",
        )


def _held_too_long(worker: Worker) -> Iterator[Finding]:
    holds = [
        (worker.lease_ms, "lease"),
        (worker.timeout_ms, "timeout"),
        (worker.undo_timeout_ms or 0, "undo's timeout"),
    ]
    too_long = [(held, what) for held, what in holds if held > CONSUMER_TIMEOUT_MS]
    if too_long:
        held, what = too_long[0]
        yield Finding(
            code="lease_exceeds_consumer_timeout",
            severity="error",
            subject=worker.name,
            message=f"Its {what} is {_seconds(held)}, and RabbitMQ takes a message back that is held longer "
            f"than {_seconds(CONSUMER_TIMEOUT_MS)}, its consumer_timeout.",
            place=worker.place,
            remedy="Split the work into shorter steps; or raise consumer_timeout in RabbitMQ's configuration "
            "and accept this with Allow(…).",
        )


def _default_timeout(worker: Worker) -> Iterator[Finding]:
    if worker.limited_without_timeout:
        yield Finding(
            code="default_timeout",
            severity="warning",
            subject=worker.name,
            message=f"It has a rate_limit, so what it calls is known to be scarce, and no timeout of its own: an "
            f"attempt that hangs holds a place for {_seconds(worker.timeout_ms)}.",
            place=worker.place,
            remedy="Say with .timeout(…) how long an attempt may take.",
        )


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:g} s"
