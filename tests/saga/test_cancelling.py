"""Cancel: with undo or without, beside an ending, twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from pavane import ActionRefused
from tests.saga.line import Begun, line, lines
from tests.saga.scene import SetUp


async def test_a_cancelled_run_undoes_what_was_done(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.three")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.three", "running")
        await scene.until_row(run, "a.side", "committed")
        await run.cancel("the customer rang", by="operator 7")
        await run.cancel("the customer rang again", by="operator 8")
        scene.faults.release("a.three")
        await scene.until_status(run, "cancelled")
        assert built.undone("k")[0] == "three", "it committed late"
        assert sorted(built.undone("k")) == ["one", "side", "three", "two"]
        asked = [one for one in await run.history().all() if one.kind == "cancel_requested"]
        assert [(one.by, one.reason) for one in asked] == [("operator 7", "the customer rang")]


async def test_a_step_that_fails_after_the_cancel_is_undone_as_unknown(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.one")
        scene.faults.fail("a.one", OSError("away"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.one", "running")
        await run.cancel("no")
        scene.faults.release("a.one")
        await scene.until_status(run, "cancelled")
        assert built.done("k") == ["undo one"]
        assert built.note("undo one", "k").outcome == "unknown"


async def test_a_run_cancelled_without_undo_lists_what_was_left(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.three")
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.three", "running")
        await scene.until_row(run, "a.after_side", "committed")
        await run.cancel("leave it", undo=False)
        assert (await run.status()).status == "compensating", "a handler still runs"
        scene.faults.release("a.three")
        await scene.until_status(run, "cancelled")
        assert built.undone("k") == []
        last = (await run.history().all())[-1]
        left = list(last.detail["left"])
        assert (last.kind, int(str(last.detail["left_count"]))) == ("cancelled", 4)
        assert [step.partition(":")[0] for step in left][-1] == "a.one"
        assert {step.partition(":")[0] for step in left} == {"a.one", "a.two", "a.side", "a.three"}
        assert (await scene.known(run, "a.one")).state == "committed"


@pytest.mark.fault("C5")
async def test_a_cancel_that_races_with_the_completion_has_one_winner(set_up: SetUp) -> None:
    built = line()
    endings: Counter[str] = Counter()
    async with set_up(built.app) as scene:
        for number in range(12):
            key = f"k{number}"
            scene.faults.hold("a.four")
            run = await scene.client.start(lines, Begun(key=key))
            await scene.until_row(run, "a.four", "running")
            await scene.until_row(run, "a.after_side", "committed")
            scene.faults.release("a.four")
            for _ in range(number):
                await asyncio.sleep(0)
            [answer] = await asyncio.gather(run.cancel("stop"), return_exceptions=True)
            refused = isinstance(answer, ActionRefused)
            assert refused or not isinstance(answer, BaseException)
            await scene.until_status(run, "completed" if refused else "cancelled")
            endings["completed" if refused else "cancelled"] += 1
            undone = sorted(built.undone(key))
            kinds = Counter(await scene.history(run))
            if refused:
                assert undone == []
                assert (kinds["completed"], kinds["cancelled"], kinds["cancel_requested"]) == (1, 0, 1)
            else:
                assert set(undone) >= {"one", "side", "three", "two"}
                assert (kinds["completed"], kinds["cancelled"]) == (0, 1)
    print(dict(endings))


async def test_an_ended_run_refuses_every_steering(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "completed")
        for action in (run.cancel, run.pause, run.compensate):
            with pytest.raises(ActionRefused, match="completed"):
                await action("too late")
        with pytest.raises(ActionRefused, match="completed"):
            await run.resume()
