"""A run fails while its steps are anywhere: queued, running, dead in the middle, failing beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import NotNow, Reject, Retry, RunHandle
from pavane.core.answers import BeginAnswer, Committed, Refused
from pavane.core.calls import Begin
from tests.saga.line import Begun, Line, OneDone, breaks, line, lines
from tests.saga.scene import Scene, SetUp


def answers_of_begin(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, BeginAnswer]]:
    """What the store says from now on to those who ask for a lease, by worker."""
    answers: list[tuple[str, BeginAnswer]] = []
    begin: Any = scene.store.begin

    async def noted(call: Begin) -> BeginAnswer:
        answer: BeginAnswer = await begin(call)
        answers.append((call.worker, answer))
        return answer

    monkeypatch.setattr(scene.store, "begin", noted)
    return answers


async def fails_while_side_runs(scene: Scene, built: Line) -> RunHandle[Any]:
    """A run that `two` has failed while the handler of `side`, which is held, runs."""
    for name in ("two", "side"):
        scene.faults.hold(f"a.{name}")
    scene.faults.replace("a.two", breaks(built, "two"))
    run = await scene.client.start(lines, Begun(key="k"))
    await scene.until_row(run, "a.side", "running")
    scene.faults.release("a.two")
    await scene.until_status(run, "compensating")
    return run


async def test_the_step_that_committed_the_failing_event_is_not_undone(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.three")
        scene.faults.replace("a.three", breaks(built, "three"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.side", "committed")
        scene.faults.release("a.three")
        await scene.until_status(run, "compensated")
        assert sorted(built.undone("k")) == ["one", "side", "two"]
        assert built.undone("k")[-1] == "one"
        assert (await scene.known(run, "a.three")).state == "committed"
        assert (await run.status()).reason == "line.broken"


@pytest.mark.fault("C2")
async def test_an_event_still_queued_when_its_run_fails_is_refused(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.side")
        other = await scene.client.start(lines, Begun(key="other"))
        await scene.until_row(other, "a.side", "running")
        scene.faults.replace("a.two", breaks(built, "two"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "compensated")
        assert await scene.row(run, "a.side") is None, "it waits behind the other run's"
        scene.faults.release("a.side")
        await scene.until_row(run, "a.side", "refused")
        assert "side" not in built.done("k")
        assert built.undone("k") == ["one"]
        assert "step_refused" in await scene.history(run)


@pytest.mark.fault("C2")
async def test_a_running_step_is_told_commits_late_and_is_undone(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        run = await fails_while_side_runs(scene, built)
        await scene.until_told(run, "a.side")
        await scene.until_told(run, "a.side")
        assert built.undone("k") == [], "the chain waits until no lease lives"
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        row = await scene.known(run, "a.side")
        assert (row.late, row.state, row.work.grants) == (True, "undone", 1)
        assert built.note("side", "k").stopping == "run_failing"
        assert built.undone("k") == ["side", "one"]
        assert built.note("undo side", "k").outcome == "committed"
        assert await scene.row(run, "a.after_side") is None, "its events are withheld"
        assert not (await scene.record(run)).outbox
        assert "step_late" in await scene.history(run)


async def test_a_worker_that_died_between_effect_and_commit_is_undone_as_unknown(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.hold("a.two")
        scene.faults.crash("a.side", after="handler")
        run = await scene.client.start(lines, Begun(key="k"))

        async def has_an_effect() -> bool:
            return "side" in built.done("k")

        await scene.until("the effect of side", has_an_effect)
        await run.cancel("it is gone")
        scene.faults.release("a.two")
        await scene.until_status(run, "cancelled")
        note = built.note("undo side", "k")
        assert (note.outcome, note.done) == ("unknown", None)
        assert built.done("k", "side") == ["side"]
        assert built.undone("k")[-1] == "one", "steps with unknown outcome come first"
        row = await scene.known(run, "a.side")
        assert row.state == "undone"
        assert [attempt.outcome for attempt in row.work.attempts] == ["lost"]


@pytest.mark.fault("C5")
async def test_two_branches_that_fail_at_once_fail_the_run_once(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        for name in ("two", "side"):
            scene.faults.hold(f"a.{name}")
            scene.faults.replace(f"a.{name}", breaks(built, name))
        run = await scene.client.start(lines, Begun(key="k"))
        for worker in ("a.two", "a.side"):
            await scene.until_row(run, worker, "running")
        scene.faults.release("a.two")
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        rows = [await scene.known(run, worker) for worker in ("a.two", "a.side")]
        assert sorted(row.late for row in rows) == [False, True]
        assert [row.state for row in rows] == ["committed", "committed"]
        assert built.undone("k") == ["one"]
        await scene.until_row(run, "a.told", "committed")
        assert built.done("k", "tell") == ["tell"], "the late one's event is withheld"
        assert (await scene.history(run)).count("compensation_started") == 1


async def test_closing_steps_run_and_are_never_undone(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.replace("a.two", breaks(built, "two"))
        scene.faults.fail("a.tell", OSError("away"), times=2)
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "compensated")
        await scene.until_row(run, "a.told", "committed")
        for worker in ("a.tell", "a.told"):
            row = await scene.known(run, worker)
            assert (row.closing, row.state, row.undo) == (True, "committed", None)
        assert (await scene.known(run, "a.tell")).work.failures == 2
        assert not {"tell", "told"} & set(built.undone("k"))
        assert (await run.status()).status == "compensated"


async def test_a_dead_closing_step_changes_no_phase(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.replace("a.two", breaks(built, "two"))
        scene.faults.fail("a.tell", OSError("away"), times=3)
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_row(run, "a.tell", "dead")
        await scene.until_status(run, "compensated")
        assert "tell" not in built.undone("k")


@pytest.mark.fault("B13", "C2")
async def test_a_step_redelivered_after_its_run_was_compensated_is_not_run(
    set_up: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = line()
    async with set_up(built.app) as scene:
        run = await fails_while_side_runs(scene, built)
        scene.faults.fail("a.side", OSError("away"))
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        await scene.until_row(run, "a.told", "committed")
        done = built.done("k")
        record = await scene.record(run)
        one_done = next(event.id for event in record.events.values() if event.name == OneDone.event_name)
        answers = answers_of_begin(scene, monkeypatch)
        await scene.again(record, record.head.start_event)
        await scene.again(record, one_done)

        async def answered() -> bool:
            return len(answers) == 3

        await scene.until("the redeliveries are answered", answered)
        assert {worker: type(answer) for worker, answer in answers} == {
            "a.one": Committed,
            "a.two": Committed,
            "a.side": Refused,
        }
        assert built.done("k") == done
        assert {(await scene.known(run, worker)).state for worker in ("a.one", "a.side")} == {"undone"}
        assert (await run.status()).status == "compensated"


async def test_the_counters_of_a_step_and_its_undo_never_mix(set_up: SetUp) -> None:
    built = line()
    async with set_up(built.app) as scene:
        scene.faults.fail("a.one", OSError("away"), times=2)
        scene.faults.fail("a.one", OSError("away"), times=1, undo=True)
        scene.faults.replace("a.two", breaks(built, "two"))
        run = await scene.client.start(lines, Begun(key="k"))
        await scene.until_status(run, "compensated")
        row = await scene.known(run, "a.one")
        assert row.undo is not None
        assert [one.outcome for one in row.work.attempts] == ["failed", "failed", "committed"]
        assert [one.outcome for one in row.undo.attempts] == ["failed", "committed"]
        assert (row.work.failures, row.undo.failures) == (2, 1)
        assert (built.note("one", "k").attempt, built.note("undo one", "k").attempt) == (3, 2)
        assert built.note("one", "k").idempotency_key != built.note("undo one", "k").idempotency_key


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (OSError("away"), "failed"),
        (Reject("never"), "rejected"),
        (Retry("again", after=60), "failed"),
        (NotNow("busy", after=60), "released"),
    ],
)
async def test_a_step_that_fails_in_a_failing_run_is_not_tried_again(
    set_up: SetUp, error: Exception, outcome: str
) -> None:
    """No retry, no letter: its outcome is unknown."""
    built = line()
    async with set_up(built.app) as scene:
        run = await fails_while_side_runs(scene, built)
        scene.faults.fail("a.side", error)
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        row = await scene.known(run, "a.side")
        assert [one.outcome for one in row.work.attempts] == [outcome]
        assert "side" not in built.done("k")
        assert built.note("undo side", "k").outcome == "unknown"
        assert (await scene.record(run)).letters == {}


async def test_a_handler_that_takes_too_long_in_a_failing_run_is_not_waited_for(set_up: SetUp) -> None:
    built = line(timeout=2.0)
    async with set_up(built.app) as scene:
        run = await fails_while_side_runs(scene, built)

        async def timed_out() -> bool:
            attempts = (await scene.known(run, "a.side")).work.attempts
            return [one.outcome for one in attempts] == ["timed_out"]

        await scene.until("the handler of side has timed out", timed_out)
        scene.faults.release("a.side")
        await scene.until_status(run, "compensated")
        assert built.note("undo side", "k").outcome == "unknown"
        assert built.undone("k") == ["side", "one"]
