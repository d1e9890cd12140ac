"""Pause and resume: nothing begins, nothing is lost, no attempt is spent, the order stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pavane import App, Context, Event, Service, Workflow
from pavane.core.answers import HoldAnswer, NotPaused
from pavane.core.calls import Hold
from pavane.core.pausing import RELEASED_AT_ONCE
from pavane.testing import CrashPoint
from tests.saga.line import Begun, breaks, line, lines
from tests.saga.scene import SetUp


async def test_a_paused_run_holds_its_jobs_and_a_resumed_one_runs_them_once(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.one")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.one", "running")
        await run.pause("the shop is closed", by="operator 7")
        scene.faults.release("a.one")
        await scene.until_held(run, 2)
        status = await run.status()
        assert (status.status, status.paused, status.phase) == ("paused", True, "running")
        assert (await scene.known(run, "a.one")).state == "committed", "what runs, finishes"
        assert built.done("k") == ["one"]
        assert await scene.row(run, "a.two") is None, "holding spends nothing"
        assert len((await run.pause("once more")).waiting_for) == len(status.waiting_for)
        await run.resume(by="operator 8")
        await scene.until_status(run, "completed")
        await scene.until_row(run, "a.after_side", "committed")
        for row in (await scene.record(run)).steps.values():
            assert (row.work.grants, row.work.failures, row.state) == (1, 0, "committed")
        found = {one.kind: one for one in await run.history().all()}
        assert (found["paused"].by, found["paused"].reason) == ("operator 7", "the shop is closed")
        assert found["resumed"].by == "operator 8"
        assert (await scene.history(run)).count("paused") == 1


async def test_a_retry_that_comes_back_to_a_paused_run_is_held_with_its_generation(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.two")
        scene.faults.hold("a.side")
        scene.faults.fail("a.two", OSError("away"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.two", "running")
        await run.pause("the shop is closed")
        scene.faults.release("a.two")
        await scene.until_held(run, 1)
        [held] = (await scene.record(run)).held.values()
        assert (held.worker, held.generation) == ("a.two", 1)
        await run.resume()
        scene.faults.release("a.side")
        await scene.until_status(run, "completed")
        assert (await scene.known(run, "a.two")).work.grants == 2
        assert built.note("two", "k").attempt == 2


async def test_undos_of_a_paused_run_are_held(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.replace("a.three", breaks(built, "three"))
        scene.faults.hold("a.three")
        scene.faults.hold("a.side")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.side", "running")
        scene.faults.release("a.three")
        await scene.until_status(run, "compensating")
        await run.pause("wait a moment")
        scene.faults.release("a.side")
        await scene.until_held(run, 1)
        assert [job.kind for job in (await scene.record(run)).held.values()] == ["undo"]
        assert built.undone("k") == []
        assert (await run.status()).status == "paused"
        await run.resume()
        await scene.until_status(run, "compensated")
        assert sorted(built.undone("k")) == ["one", "side", "two"]
        for worker in ("a.one", "a.two", "a.side"):
            undo = (await scene.known(run, worker)).undo
            assert undo is not None
            assert undo.grants == 1


async def test_a_cancel_ends_the_pause_and_what_was_held_is_refused(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.one")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.one", "running")
        await run.pause("the shop is closed")
        scene.faults.release("a.one")
        await scene.until_held(run, 2)
        await run.cancel("for ever")
        await scene.until_status(run, "cancelled")
        for worker in ("a.two", "a.side"):
            await scene.until_row(run, worker, "refused")
        assert built.done("k") == ["one", "undo one"]
        assert (await scene.record(run)).held == {}
        assert "resumed" in await scene.history(run)


MANY = RELEASED_AT_ONCE * 2 + 30


class Listed(Event, name="pausing.listed"):
    key: str


class Item(Event, name="pausing.item"):
    number: int


class Closed(Event, name="pausing.closed"): ...


listings = Workflow(
    "listings", starts_with=Listed, run_id=lambda event: event.key, completes_with=[Closed], deadline=600
)


async def test_what_was_held_is_resumed_in_the_order_it_came(set_up: SetUp) -> None:
    numbers: list[int] = []
    service = Service("list")

    @service.queue_worker("read").emits(Item)
    async def read(ctx: Context, event: Listed) -> None:
        for number in range(20):
            ctx.emit(Item(number=number))

    @service.queue_worker("count").prefetch(1).emits(Closed)
    async def count(ctx: Context, event: Item) -> Closed | None:
        numbers.append(event.number)
        return Closed() if len(numbers) == 20 else None

    async with set_up(App(services=[service], workflows=[listings])) as scene:
        scene.faults.hold("list.read")
        run = await scene.client.start(listings, Listed(key="k"))
        await scene.until_row(run, "list.read", "running")
        await run.pause("later")
        scene.faults.release("list.read")
        await scene.until_held(run, 20)
        came = [
            job.event for job in sorted((await scene.record(run)).held.values(), key=lambda job: job.order)
        ]
        payloads = (await scene.record(run)).events
        await run.resume()
        await scene.until_status(run, "completed")
        assert [Item.model_validate_json(payloads[event].payload).number for event in came] == numbers


async def test_more_than_are_released_at_once_come_in_order_too(set_up: SetUp) -> None:
    numbers: list[int] = []
    service = Service("list")

    @service.queue_worker("count").prefetch(1).emits(Closed)
    async def count(ctx: Context, event: Item) -> Closed | None:
        numbers.append(event.number)
        return Closed() if len(numbers) == MANY else None

    @service.queue_worker("read")
    async def read(ctx: Context, event: Listed) -> None: ...

    async with set_up(App(services=[service], workflows=[listings])) as scene:
        run = await scene.client.start(listings, Listed(key="k"))
        await scene.until_row(run, "list.read", "committed")
        await run.pause("later")
        for number in range(MANY):
            await scene.client.emit(Item(number=number), run=run)
        await scene.until_held(run, MANY)
        await run.resume()
        await scene.until_status(run, "completed")
        assert numbers == list(range(MANY))
        assert (await scene.record(run)).held == {}


@pytest.mark.parametrize("point", ["receive", "begin"])
async def test_a_process_that_dies_while_it_holds_a_job_loses_nothing(
    set_up: SetUp, point: CrashPoint
) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.one")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.one", "running")
        await run.pause("the shop is closed")
        scene.faults.crash("a.two", after=point)
        scene.faults.release("a.one")
        await scene.until_held(run, 2)
        await run.resume()
        await scene.until_status(run, "completed")
        assert built.done("k", "two") == ["two"]


async def test_pausing_and_resuming_while_it_runs_loses_nothing(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        runs = [await scene.client.start(lines, Begun(key=f"k{number}")) for number in range(5)]

        async def nag(number: int) -> None:
            for _ in range(10):
                status = await runs[number].status()
                if status.status not in ("running", "paused"):
                    return
                await runs[number].pause("nagging")
                await asyncio.sleep(0)
                await runs[number].resume()

        await asyncio.gather(*(nag(number) for number in range(5)), return_exceptions=True)
        for number, run in enumerate(runs):
            await scene.until_status(run, "completed")
            done = [what for what in built.done(f"k{number}") if what in ("one", "two", "three", "four")]
            assert done == ["one", "two", "three", "four"]


async def test_a_job_whose_pause_ended_before_it_was_held_is_begun_again(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the answer that the run is paused and the call that holds the delivery, somebody resumes it."""
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.one")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.one", "running")
        await run.pause("for a moment")
        hold: Any = scene.store.hold
        answers: list[HoldAnswer] = []

        async def too_late(call: Hold) -> HoldAnswer:
            await run.resume()
            answers.append(await hold(call))
            return answers[-1]

        monkeypatch.setattr(scene.store, "hold", too_late)
        scene.faults.release("a.one")
        await scene.until_status(run, "completed")
        assert answers
        assert set(answers) == {NotPaused()}
        assert (await scene.known(run, "a.two")).work.grants == 1
