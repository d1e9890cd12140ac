"""An operator commits an event instead of a step that cannot go on."""

from __future__ import annotations

import pytest

from pavane import ActionRefused, UndeclaredEvent
from tests.saga.line import Begun, SideDone, ThreeDone, TwoDone, breaks, line, lines
from tests.saga.scene import SetUp


async def test_a_run_goes_on_without_a_dead_step(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.fail("a.two", OSError("away"), times=3)
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "stalled")
        dead = await scene.known(run, "a.two")
        with pytest.raises(UndeclaredEvent):
            await run.skip(dead.step, SideDone(key="k"), reason="the wrong one")
        await run.skip(dead.step, TwoDone(key="k"), reason="done by hand", by="operator 7")
        await scene.until_status(run, "completed")
        assert "two" not in built.done("k")
        assert {"three", "four"} <= set(built.done("k"))
        assert (await scene.known(run, "a.two")).state == "skipped"
        assert await scene.client.dead_letters.list().count() == 0
        line_ = next(one for one in await run.history().all() if one.kind == "step_skipped")
        assert (line_.by, line_.reason) == ("operator 7", "done by hand")
        with pytest.raises(ActionRefused):
            await run.skip((await scene.known(run, "a.three")).step, ThreeDone(key="k"), reason="no")


async def test_a_skipped_step_is_undone_as_unknown(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.fail("a.two", OSError("away"), times=3)
        scene.faults.replace("a.four", breaks(built, "four"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "stalled")
        await run.skip((await scene.known(run, "a.two")).step, TwoDone(key="k"), reason="done by hand")
        await scene.until_status(run, "compensated")
        note = built.note("undo two", "k")
        assert (note.outcome, note.done) == ("unknown", None)
        order = built.undone("k")
        assert order.index("three") < order.index("two") < order.index("one"), "its place is the skip's"
