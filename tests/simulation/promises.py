"""Judges what a simulation leaves behind: every promise that can be seen from outside, one sentence per breach."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pavane import RunStatus, Step
from pavane.core.topology import queues_of
from pavane.testing import Harness

TERMINAL = ("completed", "failed", "compensated", "cancelled")


async def breaches(harness: Harness, compensated: Sequence[str], unsure: Sequence[str]) -> list[str]:
    """Everything that is not as promised, once nothing is left to wait for.

    Args:
        compensated: workers with an undo that takes any result of theirs.
        unsure: those of them that are undone too when it is not known whether they did anything.
    """
    found = [breach async for breach in in_queues(harness)]
    async for status in harness.client.runs():
        steps = await harness.run(status.run).steps().all()
        found += [breach async for breach in in_order(harness, status, steps)]
        found += [f"{status.run} is {status.status} ({status.stalled})"] * (status.status not in TERMINAL)
        found += [breach for step in steps for breach in in_step(step)]
        if status.status in TERMINAL:
            found += [breach for step in steps for breach in in_undo(status, step, compensated, unsure)]
    return found


async def in_queues(harness: Harness) -> AsyncIterator[str]:
    """Nothing is left in a queue, in an outbox, or between the two."""
    topology = harness._app.catalog(harness._settings).topology()
    for count in await harness._broker.count(queues_of(topology)):
        if count is None or count.ready:
            yield f"{count} should be empty"
    for queue in harness._broker._queues.values():
        if any(len(subscription.unsettled) for subscription in queue.subscriptions):
            yield f"{queue.name} has deliveries that nobody has acknowledged"
    for key, record in harness._store._records.items():
        if record.outbox:
            yield f"{key} has unpublished rows: {list(record.outbox)}"
        if record.held:
            yield f"{key} still holds {list(record.held)}"
        if record.head.leases or record.head.other_leases or record.head.retrying or record.timers:
            yield f"{key} waits for something that never comes"


async def in_order(harness: Harness, status: RunStatus, steps: Sequence[Step]) -> AsyncIterator[str]:
    """Steps are undone one after the other: those whose outcome is not known first, then the latest commit first."""
    history = await harness.run(status.run).history().all()
    ended = {line.step_id: line.seq for line in history if line.kind in ("step_committed", "step_late")}
    known = {step.step_id: step.undo.outcome == "committed" for step in steps if step.undo}
    undone = [line.step_id for line in history if line.kind == "undo_done" and line.step_id]
    keys = [(known[step], -ended[step] if known[step] else 0) for step in undone]
    if keys != sorted(keys):
        yield f"{status.run} was undone in another order than {sorted(keys)}: {keys}"
    if len(undone) != len(set(undone)):
        yield f"{status.run}: an undo was done twice"


def in_step(step: Step) -> list[str]:
    """A step commits once, and so does its undo; nothing is running any more."""
    found: list[str] = []
    for name, attempts in (("step", step.attempts), ("undo", step.undo.attempts if step.undo else [])):
        ended = [attempt.outcome for attempt in attempts]
        if sum(outcome in ("committed", "late") for outcome in ended) > 1:
            found.append(f"the {name} of {step.step_id} was committed more than once: {ended}")
        if None in ended:
            found.append(f"the {name} of {step.step_id} is still running: {ended}")
    return found


def in_undo(status: RunStatus, step: Step, compensated: Sequence[str], unsure: Sequence[str]) -> list[str]:
    """Exactly what was done is undone: only in a run that failed, and never a step that failed it."""
    committed = any(attempt.outcome in ("committed", "late") for attempt in step.attempts)
    failed_it = step.result is not None and step.result.name.endswith("refused")
    due = (
        status.status != "completed"
        and not step.closing
        and not failed_it
        and (step.worker in compensated if committed else step.worker in unsure and bool(step.attempts))
    )
    is_undone = step.status == "undone"
    return [] if due == is_undone else [f"{step.step_id} is {step.status} in a run that is {status.status}"]
