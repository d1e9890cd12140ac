"""The program that crash and recovery tests run as real processes: `python -m tests.crash.program [worker...]`.

Its events say what its handlers are to do: `ask` maps a worker's name (`undo_<name>` for its undo) to one of

    fail:2      raise on the first two attempts          exit:3     end the process on the first three
    sleep:6     take six seconds                         block:12   take twelve, without letting the loop run
    finish:6    sleep, and return although cancelled     stubborn:8 ignore cancellation for 8 s, on the first
    hang        never end                                quit:1     raise SystemExit on the first attempt
    wrong:1     return an undeclared event on the first  break      return the failing event (`third` only)
    big:1       (`pong`) return half a megabyte at first      leak       leave a task behind that never ends
    late:0.5    in a process with a crash point: raise NotNow, for half a second

PAVANE_TEST_VERSION is the version of `crash.pinged` that a process knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from typing import Any

from pydantic import Field

from pavane import App, Context, Event, NotNow, RetryPolicy, Service, StepFailure, UndoContext, Workflow
from tests.crash.ledger import note
from tests.planted.environment import planted_from_environment

LEASE = 2.0
LONGEST_LIFE = 300


class Asking(Event):
    key: str
    ask: dict[str, str] = Field(default_factory=dict)


class Begun(Asking, name="crash.begun"): ...


class FirstDone(Asking, name="crash.first_done"): ...


class SecondDone(Asking, name="crash.second_done"): ...


class Finished(Asking, name="crash.finished"): ...


class Broken(Asking, name="crash.broken"): ...


class Pinged(Asking, name="crash.pinged", version=int(os.environ.get("PAVANE_TEST_VERSION", "1"))): ...


if Pinged.event_version == 2:
    Pinged.upcaster(from_version=1)(dict)


class Crunched(Asking, name="crash.crunched"): ...


class Ponged(Asking, name="crash.ponged"): ...


chain = Workflow(
    "chain",
    starts_with=Begun,
    run_id=lambda event: event.key,
    completes_with=[Finished],
    fails_with=[Broken],
    deadline=600,
)
line = Service("line", "A chain of three steps, with undo")
loose = Service("loose", "Events that belong to no run")


leaked: list[asyncio.Task[Any]] = []


async def obey(ctx: Context[None] | UndoContext[None], name: str, event: Asking) -> Event | None:
    """Do what the event asks this worker to do; an event to return instead of the usual one, or nothing."""
    note(ctx, "start")
    order, _, argument = event.ask.get(name, "").partition(":")
    number = float(argument or 0)
    match order:
        case "fail" if ctx.attempt <= number:
            raise ConnectionError(f"{name} fails on attempt {ctx.attempt}")
        case "exit" if ctx.attempt <= number:
            os._exit(9)
        case "sleep":
            await asyncio.sleep(number)
        case "block":
            time.sleep(number)  # noqa: ASYNC251 - this is the mistake that the watchdog finds
        case "finish":
            await finish_anyway(number)
        case "stubborn" if ctx.attempt == 1:
            await ignore_cancellation(number)
        case "hang":
            await asyncio.Event().wait()
        case "quit" if ctx.attempt <= number:
            sys.exit(3)
        case "wrong" if ctx.attempt <= number:
            return Ponged(key=event.key)
        case "big" if ctx.attempt <= number:
            return Ponged(key="x" * 500_000)
        case "leak":
            leaked.append(asyncio.create_task(asyncio.Event().wait()))
        case "late" if "PAVANE_CRASH" in os.environ:
            raise NotNow("not in a process that is to die", after=number)
        case "break":
            return Broken(key=event.key, ask=event.ask)
    note(ctx, "end")
    return None


async def finish_anyway(seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        logging.getLogger("pavane.tests").info("cancelled, and finishing all the same")


async def ignore_cancellation(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await finish_anyway(left)


def quick(builder: Any) -> Any:
    return builder.lease(LEASE).retry(max_attempts=3, initial_delay=0.25, multiplier=1, jitter_mode="none")


async def undo_first(ctx: UndoContext[None], event: Begun, done: FirstDone | None) -> None:
    await obey(ctx, "undo_first", event)


async def undo_second(ctx: UndoContext[None], event: FirstDone, done: SecondDone | None) -> None:
    await obey(ctx, "undo_second", event)


def give_up(event: SecondDone, failure: StepFailure) -> Broken:
    return Broken(key=event.key, ask=event.ask)


async def first(ctx: Context[None], event: Begun) -> FirstDone:
    return await obey(ctx, "first", event) or FirstDone(key=event.key, ask=event.ask)  # type: ignore[return-value]


async def second(ctx: Context[None], event: FirstDone) -> SecondDone:
    return await obey(ctx, "second", event) or SecondDone(key=event.key, ask=event.ask)  # type: ignore[return-value]


async def third(ctx: Context[None], event: SecondDone) -> Finished | Broken:
    return await obey(ctx, "third", event) or Finished(key=event.key, ask=event.ask)  # type: ignore[return-value]


async def told(ctx: Context[None], event: Finished | Broken) -> None:
    """A closing step: it follows whatever ended the run."""
    await obey(ctx, "told", event)


async def pong(ctx: Context[None], event: Pinged) -> Ponged:
    return await obey(ctx, "pong", event) or Ponged(key=event.key, ask=event.ask)  # type: ignore[return-value]


def crunch(ctx: Context[None], event: Crunched) -> None:
    """A plain function, in a thread that nobody can cancel."""
    note(ctx, "start")
    time.sleep(float(event.ask.get("crunch", "0")))
    note(ctx, "end")


async def heard(ctx: Context[None], event: Ponged) -> None:
    await obey(ctx, "heard", event)


undo_retry: Any = {"max_attempts": 3, "initial_delay": 0.25, "multiplier": 1, "jitter_mode": "none"}


def define() -> None:
    policy = RetryPolicy(**undo_retry)
    quick(line.queue_worker("first")).compensate_with(undo_first, retry=policy).timeout(30).handler(first)
    quick(line.queue_worker("second")).compensate_with(undo_second, retry=policy).timeout(30).handler(second)
    quick(line.queue_worker("third")).on_exhausted(give_up).timeout(30).handler(third)
    quick(line.queue_worker("told")).handler(told)
    quick(loose.queue_worker("pong")).timeout(1).handler(pong)
    quick(loose.queue_worker("crunch")).timeout(30).handler(crunch)
    quick(loose.queue_worker("heard")).handler(heard)


define()
app = App(services=[line, loose], workflows=[chain])


def main() -> None:
    signal.alarm(LONGEST_LIFE)  # whatever becomes of the tests, this process ends
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s %(levelname)s %(message)s")
    with planted_from_environment():
        app.run(only=sys.argv[1:])


if __name__ == "__main__":
    main()
