"""Deadlines of an attempt, of all attempts of a step, and of a run."""

from __future__ import annotations

from datetime import timedelta

from pavane import App, Context, Event, Service, UndoContext, Workflow
from tests.saga.line import LEASE
from tests.saga.scene import SetUp


class Asked(Event, name="deadlines.asked"):
    key: str


class Quick(Event, name="deadlines.quick"):
    key: str


class Done(Event, name="deadlines.done"):
    key: str


hurried = Workflow(
    "hurried", starts_with=Asked, run_id=lambda event: event.key, completes_with=[Done], deadline=4
)


class Office:
    """`first` is quick, `slow` takes as long as its test wants."""

    def __init__(self, *, attempt: float = 60.0, step: float | None = None) -> None:
        self.undone: list[tuple[str, str]] = []
        self.attempts: list[int] = []
        service = Service("office")

        async def forget(ctx: UndoContext, event: Event) -> None:
            self.undone.append((ctx.worker, ctx.reason))

        @service.queue_worker("first").lease(LEASE).compensate_with(forget)
        async def first(ctx: Context, event: Asked) -> Quick:
            return Quick(key=event.key)

        @(
            service.queue_worker("slow")
            .lease(LEASE)
            .timeout(attempt, step=step)
            .retry(max_attempts=3, initial_delay=0.5, multiplier=1, jitter_mode="none")
            .on_exhausted("compensate")
            .compensate_with(forget)
        )
        async def slow(ctx: Context, event: Quick) -> Done:
            self.attempts.append(ctx.attempt)
            return Done(key=event.key)

        self.app = App(services=[service], workflows=[hurried])


async def test_an_attempt_that_takes_too_long_is_ended_and_made_again(set_up: SetUp) -> None:
    office = Office(attempt=0.5)
    async with set_up(office.app) as scene:
        scene.faults.hold("office.slow")
        run = await scene.client.start(hurried, Asked(key="k"))

        async def timed_out() -> bool:
            row = await scene.row(run, "office.slow")
            return row is not None and row.work.failures == 1

        await scene.until("the first attempt has timed out", timed_out)
        scene.faults.release("office.slow")
        await scene.until_status(run, "completed")
        row = await scene.known(run, "office.slow")
        assert [one.outcome for one in row.work.attempts][:1] == ["timed_out"]
        assert row.state == "committed"


async def test_the_time_for_all_attempts_of_a_step_ends_it(set_up: SetUp) -> None:
    office = Office(attempt=0.3, step=0.9)
    async with set_up(office.app) as scene:
        scene.faults.fail("office.slow", OSError("away"), times=3)
        run = await scene.client.start(hurried, Asked(key="k"))
        await scene.until_status(run, "compensated")
        [letter] = await scene.client.dead_letters.list(run=run.run).all()
        assert (letter.reason, letter.answered) == ("deadline", True)
        assert (await run.status()).reason == "step_dead"
        assert [worker for worker, _ in office.undone] == ["office.slow", "office.first"]
        assert office.attempts == []


async def test_a_run_that_takes_too_long_fails_and_is_undone(set_up: SetUp) -> None:
    office = Office()
    async with set_up(office.app) as scene:
        scene.faults.hold("office.slow")
        run = await scene.client.start(hurried, Asked(key="k"))
        await scene.until_status(run, "compensating")
        scene.faults.release("office.slow")
        await scene.until_status(run, "compensated")
        assert (await run.status()).reason == "deadline"
        assert office.undone == [("office.slow", "deadline"), ("office.first", "deadline")]
        kinds = await scene.history(run)
        assert kinds.index("deadline_passed") < kinds.index("compensation_started")


async def test_a_deadline_that_was_moved_ends_the_run_at_its_new_time(set_up: SetUp) -> None:
    office = Office()
    async with set_up(office.app) as scene:
        scene.faults.hold("office.slow")
        run = await scene.client.start(hurried, Asked(key="k"))
        await scene.until_row(run, "office.slow", "running")
        before = (await run.status()).deadline_at
        assert before is not None
        later = before + timedelta(seconds=2)
        status = await run.move_deadline(later, reason="they asked for more time", by="operator 7")
        assert status.deadline_at == later
        await scene.until_status(run, "compensating")
        scene.faults.release("office.slow")
        lines = {one.kind: one for one in await run.history().all()}
        assert lines["deadline_passed"].at >= later
        assert (lines["deadline_moved"].by, lines["deadline_moved"].reason) == (
            "operator 7",
            "they asked for more time",
        )
        await scene.until_status(run, "compensated")


async def test_a_deadline_passes_while_its_run_is_paused(set_up: SetUp) -> None:
    office = Office()
    async with set_up(office.app) as scene:
        scene.faults.hold("office.slow")
        run = await scene.client.start(hurried, Asked(key="k"))
        await scene.until_row(run, "office.slow", "running")
        await run.pause("a long lunch")

        async def has_passed() -> bool:
            return "deadline_passed" in await scene.history(run)

        await scene.until("the deadline has passed", has_passed)
        scene.faults.release("office.slow")
        await scene.until_held(run, 1)
        assert (await run.status()).status == "paused"
        await run.resume()
        await scene.until_status(run, "compensated")
