"""A join runs once in a run, with what arrived first of each; a run that fails calls it no more."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from pavane import Context
from pavane.core.record import JOINED
from pavane.testing import CrashPoint
from tests.saga.scene import SetUp
from tests.saga.trips import Asked, Failed, Flight, Hotel, travel, trips

JOINED_K = ("flight of k", "hotel of k")


async def test_a_join_is_called_once_with_its_events_in_order(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.flight")
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.hotel", "committed")

        async def waits() -> bool:
            return (await run.status()).status == "running" and bool((await scene.record(run)).joins)

        await scene.until("the hotel has arrived", waits)
        assert built.joins == []
        scene.faults.release("b.flight")
        await scene.until_status(run, "completed")
        assert built.joins == [("complete", JOINED_K, JOINED)]
        row = await scene.known(run, "b.complete")
        assert (row.work.grants, row.work.failures) == (1, 0)
        kinds = await scene.history(run)
        assert kinds.count("gathered") == 1
        steps = await run.steps(worker="b.complete").all()
        assert len(steps) == 1, "arrivals are no steps"


@pytest.mark.fault("B13")
async def test_duplicates_before_and_after_change_nothing(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.flight")
        scene.faults.hold("b.confirm")
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.hotel", "committed")
        record = await scene.record(run)
        hotel = next(event.id for event in record.events.values() if event.name == Hotel.event_name)
        await scene.again(record, hotel)
        await scene.again(record, hotel)
        await scene.client.emit(Hotel(key="k", room="another hotel"), run=run)
        scene.faults.release("b.flight")
        await scene.until_row(run, "b.confirm", "running")
        record = await scene.record(run)
        for event in list(record.events.values()):
            if event.name in (Hotel.event_name, Flight.event_name):
                await scene.again(record, event.id)
        await scene.client.emit(Flight(key="k", seat="another flight"), run=run)
        scene.faults.release("b.confirm")
        await scene.until_status(run, "completed")
        assert built.joins == [("complete", JOINED_K, JOINED)]


async def test_a_failing_run_never_calls_its_join(set_up: SetUp) -> None:
    built = travel()

    async def full(ctx: Context, event: Any) -> Failed:
        return Failed(key=event.key, why="full")

    async with set_up(built.app) as scene:
        scene.faults.hold("b.hotel")
        scene.faults.replace("b.hotel", full)
        scene.faults.hold("b.flight")
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.flight", "running")
        await scene.until_row(run, "b.hotel", "running")
        scene.faults.release("b.flight")
        await scene.until_row(run, "b.flight", "committed")

        async def has_arrived() -> bool:
            return bool((await scene.record(run)).joins)

        await scene.until("the flight has arrived", has_arrived)
        assert (await scene.record(run)).joins["b.complete"].arrived[0][0] == Flight.event_name
        scene.faults.release("b.hotel")
        await scene.until_status(run, "compensated")
        await scene.client.emit(Asked(key="other"))
        assert built.joins == []
        assert built.undone("k") == ["flight"]
        assert await scene.row(run, "b.complete") is None
        assert (await scene.record(run)).joins == {}, "what was open is dropped"


async def test_a_join_that_is_dead_is_answered_with_its_events(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.fail("b.complete", OSError("away"), times=2)
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_status(run, "compensated")
        record = await scene.record(run)
        failed = record.events[record.head.end_event]
        assert Failed.model_validate_json(failed.payload).why == "flight of k, hotel of k: attempts"
        [letter] = await scene.client.dead_letters.list(run=run.run).all()
        assert (letter.worker, letter.answered) == ("b.complete", True)
        assert built.undone("k")[0] == "complete"
        assert built.joins == [("undo complete", JOINED_K, "unknown")]


async def test_a_join_whose_processes_keep_dying_is_answered_with_its_events(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.crash("b.complete", after="handler", times=3)
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_status(run, "compensated")
        record = await scene.record(run)
        failed = record.events[record.head.end_event]
        assert Failed.model_validate_json(failed.payload).why == "flight of k, hotel of k: crash_loop"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", ["receive", "begin", "handler", "commit", "publish", "mark"])
async def test_a_join_survives_its_process(set_up: SetUp, point: CrashPoint, times: int) -> None:
    """The first times that its worker passes a point are those of its arrivals, as far as they get there."""
    assert point in get_args(CrashPoint)
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.crash("b.complete", after=point, times=times)
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_status(run, "completed")
        calls = [one for one in built.joins if one[0] == "complete"]
        assert set(calls) == {("complete", JOINED_K, JOINED)}
        assert (await scene.history(run)).count("gathered") == 1
        row = await scene.known(run, "b.complete")
        assert [one.outcome for one in row.work.attempts].count("committed") == 1
        # A process that dies at an arrival's mark may take the join's own handler with it.
        assert len(calls) == 1 or point in ("handler", "mark")


async def test_the_arrivals_of_a_paused_run_are_held_too(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        for worker in ("b.flight", "b.hotel"):
            scene.faults.hold(worker)
        run = await scene.client.start(trips, Asked(key="k"))
        for worker in ("b.flight", "b.hotel"):
            await scene.until_row(run, worker, "running")
        await run.pause("a moment")
        for worker in ("b.flight", "b.hotel"):
            scene.faults.release(worker)
        await scene.until_held(run, 2)
        await run.resume()
        await scene.until_status(run, "completed")
        assert built.joins == [("complete", JOINED_K, JOINED)]


async def test_the_job_of_a_join_may_be_held_and_redriven(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.complete")
        scene.faults.fail("b.complete", OSError("away"))
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.complete", "running")
        await run.pause("a moment")
        scene.faults.release("b.complete")
        await scene.until_held(run, 1)
        [held] = (await scene.record(run)).held.values()
        assert (held.worker, held.generation) == ("b.complete", 1)
        await run.resume()
        await scene.until_status(run, "completed")
        assert built.joins == [("complete", JOINED_K, JOINED)]


async def test_events_outside_of_runs_are_not_joined(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        event = await scene.client.emit(Flight(key="k", seat="of nobody"))

        async def refused() -> bool:
            record = await scene.store.read(f"~{event}")
            return record is not None and any(line.reason == "not_in_run" for line in record.history)

        await scene.until("the event is refused", refused)
        assert built.joins == []
