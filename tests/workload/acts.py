"""What the handlers of a generated choreography do: their effect outside, then what chance has in store for them.

Chance is drawn from plan, run, worker and attempt, not from the order of things: the same attempt does the same in
every process, and the next one something else.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Protocol

from pavane import Context, NotNow, Reject, Retry, UndoContext
from pavane.model.context import JobContext
from tests.checker.ledger import Ledger, effect
from tests.workload.events import CLASSES, Carried, Failed
from tests.workload.plan import Plan, Work


class Outside(Ledger, Protocol):
    """The world outside, as the handlers of one process reach it (`ctx.resources`): a ledger, and how to die."""

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        ...

    async def crash(self) -> None:
        """Kill this process. Does not return."""
        ...


async def act(plan: Plan, work: Work, ctx: Context[Outside], events: tuple[Any, ...]) -> Carried | None:
    """One attempt of a step."""
    event = events[0]
    if not isinstance(event, Carried):  # one of pavane's own
        with effect(ctx, event):
            return None
    chance = drawn(plan, work, ctx, f"do/{event.lap}")
    calm = event.calm or ctx.resources.calm
    with effect(ctx, event):
        if not calm:
            await misbehave(plan, ctx, chance)
    if ctx.workflow is not None and chance.random() < 0.5:
        ctx.data.set(**{work.name: ctx.attempt})
    if not calm and work.fails and chance.random() < plan.rates.fails:
        return passed_on(event, Failed)
    return follow(work, ctx, event, chance)


async def undo(plan: Plan, work: Work, ctx: UndoContext[Outside], arguments: tuple[Any, ...]) -> None:
    """One attempt of an undo."""
    event: Carried = arguments[0]
    chance = drawn(plan, work, ctx, f"undo/{event.lap}")
    with effect(ctx, event):
        if event.calm or ctx.resources.calm:
            return
        if chance.random() < plan.rates.slow:
            await asyncio.sleep(chance.uniform(0, work.timeout))
        if chance.random() < plan.rates.crashes:
            await ctx.resources.crash()
        if chance.random() < plan.rates.undo_fails:
            raise ConnectionError("the undo fails")


async def misbehave(plan: Plan, ctx: Context[Outside], chance: Random) -> None:
    """Take long, die, or raise."""
    rates = plan.rates
    if chance.random() < rates.slow:
        await asyncio.sleep(chance.uniform(0, 3))
        if chance.random() < 0.5:
            await ctx.heartbeat(0.5, "half of it")
            await asyncio.sleep(chance.uniform(0, 6))
    if chance.random() < rates.crashes:
        await ctx.resources.crash()
    if chance.random() < rates.raises:
        raise ConnectionError("the bank does not answer")
    if chance.random() < rates.retries:
        raise Retry("the bank is busy", after=chance.choice((0.25, 3)))
    if chance.random() < rates.not_now:
        raise NotNow("the bank is closed", after=chance.choice((0.5, 5)))
    if chance.random() < rates.rejects:
        raise Reject("no such account")


def follow(work: Work, ctx: Context[Outside], event: Carried, chance: Random) -> Carried | None:
    """What comes after it."""
    match work.how:
        case "step" | "end":
            return passed_on(event, CLASSES[work.emits[0]])
        case "choose":
            return passed_on(event, CLASSES[chance.choice(work.emits)])
        case "after":
            ctx.after(
                work.delay, passed_on(event, CLASSES[work.emits[0]]), key=chance.choice((work.name, None))
            )
        case "cycle":
            return go_round(work, ctx, event)
        case "tell" | "watch":
            pass
    return None


def go_round(work: Work, ctx: Context[Outside], event: Carried) -> Carried | None:
    """Once more, at once or later, or on."""
    again, then = work.emits
    if event.lap >= work.laps or (event.calm and event.lap >= 2):
        return passed_on(event, CLASSES[then], lap=0)
    next_one = passed_on(event, CLASSES[again], lap=event.lap + 1)
    if not work.delay:
        return next_one
    ctx.after(work.delay, next_one)
    return None


def passed_on(event: Carried, into: type[Carried], *, lap: int | None = None) -> Carried:
    return into(key=event.key, lap=event.lap if lap is None else lap, calm=event.calm)


def give_up(events: tuple[Any, ...]) -> Carried:
    """What `on_exhausted` makes of a job."""
    return passed_on(events[0], Failed)


def drawn(plan: Plan, work: Work, ctx: JobContext[Any], what: str) -> Random:
    return Random(f"{plan.seed}/{ctx.run_id}/{work.name}/{what}/{ctx.attempt}")
