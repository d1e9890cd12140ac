"""The measured chain: a five-step workflow of pavane in one worker process."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from pavane import App, Client, Context, Event, Service, Settings, Workflow


class First(Event, name="bench.first"):
    run: str
    text: str


class Second(Event, name="bench.second"):
    run: str
    text: str


class Third(Event, name="bench.third"):
    run: str
    text: str


class Fourth(Event, name="bench.fourth"):
    run: str
    text: str


class Fifth(Event, name="bench.fifth"):
    run: str
    text: str


class Finished(Event, name="bench.finished"):
    run: str


chain = Workflow("chain", starts_with=First, run_id=lambda e: e.run, completes_with=[Finished])
bench = Service("bench")


@bench.queue_worker("one")
async def one(ctx: Context, event: First) -> Second:
    return Second(run=event.run, text=event.text)


@bench.queue_worker("two")
async def two(ctx: Context, event: Second) -> Third:
    return Third(run=event.run, text=event.text)


@bench.queue_worker("three")
async def three(ctx: Context, event: Third) -> Fourth:
    return Fourth(run=event.run, text=event.text)


@bench.queue_worker("four")
async def four(ctx: Context, event: Fourth) -> Fifth:
    return Fifth(run=event.run, text=event.text)


class Arrivals:
    """Counts the runs that have reached their last step."""

    def __init__(self) -> None:
        self.left = 0
        self.done = asyncio.Event()

    def expect(self, runs: int) -> None:
        self.left = runs
        self.done.clear()

    def arrived(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.done.set()


arrivals = Arrivals()


@bench.queue_worker("five")
async def five(ctx: Context, event: Fifth) -> Finished:
    arrivals.arrived()
    return Finished(run=event.run)


app = App(services=[bench], workflows=[chain])


IN_DOUBT = 32
"""Runs that may still be committing when the last handler was called: those in one worker's prefetch."""


class PavaneChain:
    """Starts runs of the chain and waits until all of them are completed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._client: Client | None = None
        self._rounds = 0

    async def open(self) -> None:
        self._client = await self._stack.enter_async_context(app.running(self._settings))

    async def run(self, runs: int, in_flight: int, text: str) -> float:
        """Seconds from the first start until the records of all runs say `completed`.

        The last runs to arrive are waited for one by one; the count over all is taken outside the time.
        """
        client = self._client
        if client is None:
            raise RuntimeError("open the chain first")
        self._rounds += 1
        room = asyncio.Semaphore(in_flight)

        async def start(number: int) -> None:
            async with room:
                await client.start(chain, First(run=f"{self._rounds}-{number}", text=text))

        arrivals.expect(runs)
        started = time.perf_counter()
        await asyncio.gather(*(start(number) for number in range(runs)))
        await arrivals.done.wait()
        last = [client.run(chain, f"{self._rounds}-{number}") for number in range(runs - IN_DOUBT, runs)]
        await asyncio.gather(*(run.wait() for run in last))
        elapsed = time.perf_counter() - started
        completed = await client.runs(status="completed").count()
        if completed != runs * self._rounds:
            raise RuntimeError(f"{completed} runs are completed, {runs * self._rounds} were started")
        return elapsed

    async def close(self) -> None:
        await self._stack.aclose()
