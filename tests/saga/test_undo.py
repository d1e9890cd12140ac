"""Undo: in reverse order, retried under its own policy, stuck in the open, redriven, side by side where allowed."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import ActionRefused, RunHandle
from pavane.testing import CrashPoint
from tests.saga.line import Begun, breaks, line, lines
from tests.saga.scene import Scene, SetUp
from tests.saga.trips import Asked, AskedInParallel, parallel_trips, travel, trips


async def test_what_was_done_is_undone_in_reverse_order_of_commit(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.four")
        scene.faults.replace("a.four", breaks(built, "four"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.side", "committed")
        await scene.until_row(run, "a.four", "running")
        scene.faults.release("a.four")
        await scene.until_status(run, "compensated")
        rows = [row for row in (await scene.record(run)).steps.values() if row.undo is not None]
        by_commit = [row.worker.removeprefix("a.") for row in sorted(rows, key=lambda row: -row.order)]
        assert built.undone("k") == by_commit
        assert sorted(by_commit) == ["one", "side", "three", "two"]


async def stuck(scene: Scene, built: Any) -> RunHandle[Any]:
    """A run whose undo of `two` has failed for good."""
    scene.faults.hold("a.side")
    scene.faults.fail("a.two", OSError("away"), times=2, undo=True)
    scene.faults.hold("a.four")
    scene.faults.replace("a.four", breaks(built, "four"))
    run = await scene.client.start(lines, Begun(key="k"))
    await scene.until_row(run, "a.side", "running")
    scene.faults.release("a.four")
    scene.faults.release("a.side")
    await scene.until_row(run, "a.two", "undo_stuck")
    return run


@pytest.mark.fault("C1")
async def test_an_undo_that_fails_for_ever_stalls_its_run_and_a_redrive_goes_on(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        run = await stuck(scene, built)
        await scene.until_status(run, "stalled")
        before = built.undone("k")
        assert "three" in before
        assert not {"one", "two"} & set(before), "what comes behind the stuck one waits"
        status = await run.status()
        assert [one.kind for one in status.waiting_for] == ["undo_stuck"]
        [letter] = await scene.client.dead_letters.list(run=run.run).all()
        assert (letter.kind, letter.worker, letter.answered) == ("undo", "a.two", False)
        report = await scene.client.dead_letters.redrive(letter.id, reason="it is back")
        assert report.done == 1
        await scene.until_status(run, "compensated")
        assert built.undone("k") == [*before, "two", "one"]
        row = await scene.known(run, "a.two")
        assert row.undo is not None
        assert [one.outcome for one in row.undo.attempts] == ["failed", "failed", "committed"]
        assert await scene.client.dead_letters.list(run=run.run).count() == 0
        kinds = await scene.history(run)
        assert kinds.index("undo_stuck") < kinds.index("redriven") < kinds.index("compensated")


async def test_a_stuck_undo_is_no_step_that_could_be_compensated(set_up: SetUp) -> None:
    """Cancelling does not jump over it: the first ending has won."""
    built = line()
    async with set_up(built.app) as scene:
        run = await stuck(scene, built)
        await scene.until_status(run, "stalled")
        for action in (run.cancel, run.compensate):
            with pytest.raises(ActionRefused):
                await action("get over it")
        assert (await run.status()).status == "stalled"


async def test_a_run_whose_step_is_dead_is_compensated_by_an_operator(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.fail("a.three", OSError("away"), times=3)
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "stalled")
        await run.compensate("beyond repair", by="operator 7")
        await scene.until_status(run, "compensated")
        assert (await run.status()).reason == "operator"
        assert built.undone("k")[0] == "three", "nobody knows what its attempts did"
        assert built.note("undo three", "k").outcome == "unknown"
        assert {built.note(f"undo {name}", "k").outcome for name in ("one", "two")} == {"committed"}
        line_ = next(one for one in await run.history().all() if one.kind == "compensation_started")
        assert (line_.by, line_.detail.get("why")) == ("operator 7", "beyond repair")


@pytest.mark.fault("C1")
async def test_undos_side_by_side_wait_only_for_what_they_caused(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.confirm")
        run = await scene.client.start(parallel_trips, AskedInParallel(key="k"))
        await scene.until_row(run, "b.confirm", "running")
        scene.faults.hold("b.flight")
        await run.cancel("they stay at home")
        scene.faults.release("b.confirm")
        await scene.until_row(run, "b.hotel", "undone")
        assert (await scene.known(run, "b.flight")).state == "undoing"
        assert built.undone("k")[0] == "complete", "the join was caused by both"
        scene.faults.release("b.flight")
        await scene.until_status(run, "cancelled")
        assert sorted(built.undone("k")) == ["complete", "flight", "hotel"]


async def test_undos_in_sequence_wait_for_each_other(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.confirm")
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.confirm", "running")
        rows = [await scene.known(run, worker) for worker in ("b.flight", "b.hotel")]
        first, last = (row.worker for row in sorted(rows, key=lambda row: row.order))
        scene.faults.hold(last)
        await run.cancel("they stay at home")
        scene.faults.release("b.confirm")
        await scene.until_row(run, last, "undoing")
        row = await scene.known(run, first)
        assert row.undo is None, "it is not even due"
        assert built.undone("k") == ["complete"]
        scene.faults.release(last)
        await scene.until_status(run, "cancelled")


async def test_the_undo_of_a_join_gets_what_was_joined(set_up: SetUp) -> None:
    built = travel()
    async with set_up(built.app) as scene:
        scene.faults.hold("b.confirm")
        run = await scene.client.start(trips, Asked(key="k"))
        await scene.until_row(run, "b.confirm", "running")
        await run.cancel("they stay at home")
        scene.faults.release("b.confirm")
        await scene.until_status(run, "cancelled")
        assert built.joins[-1] == ("undo complete", ("flight of k", "hotel of k"), "committed")


@pytest.mark.parametrize("point", ["receive", "begin", "handler", "commit", "publish"])
@pytest.mark.fault("C4")
async def test_an_undo_survives_its_process(set_up: SetUp, point: CrashPoint) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.side")
        scene.faults.crash("a.two", after=point, undo=True)
        scene.faults.replace("a.three", breaks(built, "three"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.side", "running")
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        undo = (await scene.known(run, "a.two")).undo
        assert undo is not None
        assert [one.outcome for one in undo.attempts].count("committed") == 1
        assert built.undone("k").count("two") == (2 if point == "handler" else 1)
        assert built.undone("k").count("one") == 1
        assert built.undone("k").index("two") < built.undone("k").index("one")


@pytest.mark.parametrize("point", ["fail", "retry_published", "dead_published"])
@pytest.mark.fault("C4")
async def test_a_failed_undo_survives_its_process(set_up: SetUp, point: CrashPoint) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.crash("a.two", after=point, undo=True)
        run = await stuck(scene, built)
        [letter] = await scene.client.dead_letters.list(run=run.run).all()
        assert [one.outcome for one in letter.attempts] == ["failed", "failed"]

        async def redriven() -> bool:
            return (await scene.client.dead_letters.redrive(letter.id)).done == 1

        await scene.until("its letter is in the queue", redriven)
        await scene.until_status(run, "compensated")
        assert built.undone("k").count("two") == built.undone("k").count("one") == 1
        assert await scene.client.dead_letters.list().count() == 0
