"""Making an ordinary `App` of a plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from pavane import App, Event, RetryPolicy, Service, Workflow
from pavane.events import RunEnded, StepDeadLettered
from tests.workload import acts
from tests.workload.acts import Outside
from tests.workload.events import CLASSES, Carried, Completed, Failed, Started
from tests.workload.plan import TOLD, Plan, Work

WORKFLOW: Final = "load"

Lifespan = Callable[[], AbstractAsyncContextManager[Outside]]

OWN: Final[dict[str, type[Event]]] = {one.event_name: one for one in (RunEnded, StepDeadLettered)}


def build(plan: Plan, lifespan: Lifespan) -> App:
    """The app of a plan; its handlers reach the world outside through what `lifespan` yields."""
    services = {name: Service(name, lifespan=lifespan) for name in plan.services}
    for work in plan.works:
        add_worker(services[work.service], plan, work)
    return App(services=list(services.values()), workflows=[workflow_of(plan)], events=[CLASSES[TOLD]])


def workflow_of(plan: Plan) -> Workflow[Started, Completed]:
    """The contract of all generated choreographies."""
    return Workflow(
        WORKFLOW,
        starts_with=Started,
        run_id=lambda event: event.key,
        completes_with=[Completed],
        fails_with=[Failed],
        deadline=plan.deadline or None,
        undo="parallel" if plan.parallel else "sequential",
    )


def add_worker(service: Service[Outside], plan: Plan, work: Work) -> None:
    builder: Any = service.queue_worker(work.name)
    takes = [CLASSES.get(name) or OWN[name] for name in work.takes]
    builder = builder.on_all(*takes) if work.joins else builder.on(*takes)
    emits = [CLASSES[name] for name in work.emits]
    if work.fails or work.exhausted == "answer":
        emits.append(Failed)
    if emits:
        builder = builder.emits(*emits)
    builder = (
        builder.lease(work.lease)
        .timeout(work.timeout, step=work.step_timeout or None)
        .retry(max_attempts=work.attempts, initial_delay=work.pause, max_delay=4, multiplier=2, jitter=0.5)
        .prefetch(work.prefetch)
    )
    if work.exhausted != "stall":
        builder = builder.on_exhausted(answered() if work.exhausted == "answer" else work.exhausted)
    if work.turns:
        builder = builder.rate_limit(work.turns, burst=1, key=run_of if work.own_turns else None)
    if work.most_letters:
        builder = builder.dead_letters(max_length=work.most_letters)
    if work.undo:
        policy = RetryPolicy(max_attempts=4, initial_delay=0.25, max_delay=2)
        builder = builder.compensate_with(undone(plan, work), retry=policy, uncertain=work.uncertain)
    builder.handler(handled(plan, work))


def run_of(event: Any) -> str:
    return event.key if isinstance(event, Carried) else ""


def handled(plan: Plan, work: Work) -> Callable[..., Any]:
    """Without annotations: what it takes and emits is said by `.on` and `.emits`."""

    async def handler(ctx, *events):
        return await acts.act(plan, work, ctx, events)

    return handler


def undone(plan: Plan, work: Work) -> Callable[..., Any]:
    async def undo(ctx: Any, *arguments: Any) -> None:
        await acts.undo(plan, work, ctx, arguments)

    return undo


def answered() -> Callable[..., Any]:
    def give_up(*arguments: Any) -> Failed:
        made: Carried = acts.give_up(arguments)
        assert isinstance(made, Failed)
        return made

    return give_up
