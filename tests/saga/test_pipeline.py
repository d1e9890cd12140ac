"""A pipeline of ten steps dies at the seventh and goes on: the first six are not run again. There is no replay."""

from __future__ import annotations

from collections import Counter

import pytest

from pavane import App, Context, Event, Reject, Service, UndoContext, Workflow
from pavane.testing import CrashPoint
from tests.saga.line import LEASE
from tests.saga.scene import SetUp


class Handed(Event):
    key: str


STAGES: list[type[Handed]] = [type(f"Stage{n}", (Handed,), {}, name=f"pipeline.stage_{n}") for n in range(11)]

pipeline = Workflow(
    "pipeline", starts_with=STAGES[0], run_id=lambda event: event.key, completes_with=[STAGES[10]]
)


def ten_steps(done: Counter[str], undone: list[str]) -> App:
    service = Service("p")

    def add(number: int) -> None:
        async def undo(ctx: UndoContext, event: Event) -> None:
            undone.append(ctx.worker)

        async def handler(ctx: Context, event: Handed):
            done[ctx.worker] += 1
            ctx.data.set(**{f"step{number}": number})
            return STAGES[number](key=event.key)

        (
            service.queue_worker(f"step{number}")
            .on(STAGES[number - 1])
            .emits(STAGES[number])
            .lease(LEASE)
            .compensate_with(undo)
            .handler(handler)
        )

    for number in range(1, 11):
        add(number)
    return App(services=[service], workflows=[pipeline])


@pytest.mark.parametrize("point", ["receive", "begin", "handler", "commit", "publish"])
async def test_a_process_that_dies_at_step_seven_goes_on_there(set_up: SetUp, point: CrashPoint) -> None:
    done: Counter[str] = Counter()
    undone: list[str] = []
    async with set_up(ten_steps(done, undone)) as scene:
        scene.faults.crash("p.step7", after=point)
        run = await scene.client.start(pipeline, STAGES[0](key="k"))
        await scene.until_status(run, "completed")
        seventh = 2 if point == "handler" else 1
        assert done == {f"p.step{n}": seventh if n == 7 else 1 for n in range(1, 11)}
        assert undone == []
        status = await run.status()
        assert status.data == {f"step{n}": n for n in range(1, 11)}
        for n in range(1, 7):
            [step] = await run.steps(worker=f"p.step{n}").all()
            assert [one.outcome for one in step.attempts] == ["committed"]


async def test_a_pipeline_that_is_dead_at_step_seven_goes_on_after_a_redrive(set_up: SetUp) -> None:
    done: Counter[str] = Counter()
    async with set_up(ten_steps(done, [])) as scene:
        scene.faults.fail("p.step7", Reject("a bug"))
        run = await scene.client.start(pipeline, STAGES[0](key="k"))
        await scene.until_status(run, "stalled")
        await scene.client.dead_letters.redrive(run=run.run, reason="mended")
        await scene.until_status(run, "completed")
        assert done == {f"p.step{n}": 1 for n in range(1, 11)}
