"""What people do to a run on a store: cancel, compensate, pause, hold, resume, skip, move the deadline."""

from __future__ import annotations

from typing import Any

import pytest

from pavane.core.answers import (
    Committed,
    Dead,
    Discarded,
    Done,
    Fenced,
    Granted,
    Held,
    Late,
    NotPaused,
    Paused,
    Refused,
    UnknownRun,
)
from pavane.core.calls import Emit, Hold, MoveDeadline
from pavane.core.record import EventRow, UndoSpec
from pavane.ports.store import Place, RunQuery, Store
from pavane.testing.conformance.store_stage import HOUR, SOON, Stage, StoreSuite, event

UNDO = UndoSpec()


class Steering(StoreSuite):
    async def test_no_action_makes_a_run(self, store: Store) -> None:
        stage = Stage(store)
        answers = [
            *(await stage.cancel(), await stage.compensate(), await stage.pause(), await stage.hold()),
            *(await stage.resume(), await stage.skip(stage.job()), await stage.move_deadline(1)),
        ]
        assert answers == [UnknownRun()] * 7
        assert await store.read(stage.run) is None

    async def test_a_cancelled_run_undoes_what_was_done_and_ends_as_cancelled(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        answer = await stage.cancel()
        assert isinstance(answer, Done)
        assert [(row.kind, row.step) for row in answer.rows] == [("undo", stage.job("s.a"))]
        assert await stage.cancel("another") == answer
        assert await stage.phase() == "compensating"
        ended = await stage.undone(stage.job("s.a"))
        assert (ended.run_ended, await stage.phase()) == ("cancelled", "cancelled")
        assert await stage.cancel() == answer
        asked = [line for line in await stage.history() if line.kind == "cancel_requested"]
        assert [(line.by, line.reason, line.detail) for line in asked] == [
            ("operator-1", "wrong order", (("undo", "true"),))
        ]

    async def test_a_run_cancelled_without_undo_ends_with_its_last_lease_and_lists_what_is_left(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        running = await stage.granted("s.slow", compensation=UNDO)
        assert await stage.cancel(undo=False) == Done()
        assert await stage.phase() == "compensating"
        assert await stage.cancel(undo=True) == Refused(reason="run_compensating")
        late = await stage.commit(stage.job("s.slow"), running.token, "mid")
        assert isinstance(late, Late)
        record = await stage.read()
        assert (record.head.phase, record.undo) == ("cancelled", [])
        left = f"{stage.job('s.slow')} {stage.job('s.a')}"
        assert record.history[-1].detail == (("left", left), ("left_count", "2"))
        assert [row.state for row in record.steps.values()] == ["committed", "committed"]

    async def test_a_run_given_up_by_an_operator_ends_as_any_failing_run(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        answer = await stage.compensate()
        assert isinstance(answer, Done)
        assert await stage.compensate("another") == answer
        record = await stage.read()
        assert (record.head.phase, record.head.reason) == ("compensating", "operator")
        [line] = [line for line in record.history if line.kind == "compensation_started"]
        assert (line.by, line.detail) == ("operator-1", (("why", "given up"),))
        assert (await stage.undone(stage.job("s.a"))).run_ended == "compensated"

    async def test_the_last_line_of_a_failed_run_names_what_nobody_undoes(self, store: Store) -> None:
        stage = await Stage.built(store)
        for worker, undo in (("s.a", None), ("s.b", UNDO), ("s.c", UndoSpec(admits=("never",)))):
            await stage.done(worker, "mid", undo=undo)
        await stage.cancel()
        await stage.undone(stage.job("s.b"))
        line = (await stage.history())[-1]
        named = f"{stage.job('s.a')} {stage.job('s.c')}"
        assert line.kind == "cancelled"
        assert line.detail == (("not_undone", named), ("not_undone_count", "2"))

    async def test_the_first_way_to_fail_wins_and_a_later_one_is_noted_once(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.w", "bad")
        for _ in range(2):
            assert await stage.cancel("first") == Refused(reason="run_failed")
        assert await stage.compensate("second") == Refused(reason="run_failed")
        lines = [line for line in await stage.history() if line.kind == "cancel_requested"]
        assert [dict(line.detail) for line in lines] == [
            {"asked": asked, "refused": "run_failed"} for asked in ("cancel", "compensate")
        ]

    async def test_nothing_begins_in_a_paused_run_and_what_runs_finishes(self, store: Store) -> None:
        stage = await Stage.built(store)
        running = await stage.granted("s.a")
        assert await stage.pause() == Done()
        before = await stage.read()
        paused = await stage.begin("s.b")
        assert paused == Paused(since=before.head.paused_at)
        assert await stage.pause(reason="again") == Done()
        assert await stage.read() == before
        assert (before.head.paused_by, before.head.paused_reason) == ("operator-1", "bank is down")
        assert isinstance(await stage.commit(stage.job("s.a"), running.token, "mid"), Committed)
        assert isinstance(await stage.begin("s.a"), Committed)
        assert await store.runs(RunQuery(statuses=("paused",))) == [
            Place(at=before.head.started_at, key=stage.run)
        ]

    async def test_a_held_job_is_kept_once_and_released_to_its_worker_in_order(self, store: Store) -> None:
        stage = await Stage.built(store)
        assert await stage.hold("s.b") == NotPaused()
        await stage.pause()
        for worker in ("s.b", "s.a", "s.b"):
            assert await stage.hold(worker) == Held()
        held = sorted((await stage.read()).held.values(), key=lambda job: job.order)
        assert [(job.order, job.step, job.event) for job in held] == [
            (1, stage.job("s.b"), stage.first.id),
            (2, stage.job("s.a"), stage.first.id),
        ]
        answer = await stage.resume()
        assert isinstance(answer, Done)
        assert [(row.kind, row.worker, row.step, row.event) for row in answer.rows] == [
            ("job", job.worker, job.step, stage.first) for job in held
        ]
        assert await stage.resume() == answer
        record = await stage.read()
        assert (record.held, record.head.release_at, record.head.paused_at) == ({}, 0, 0)
        await stage.granted("s.b")
        await stage.mark(*record.outbox)
        assert (await stage.read()).outbox == {}

    async def test_a_hundred_held_jobs_are_released_at_once_and_pausing_again_stops_it(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        await stage.pause()
        events = [event(f"held-{number:03d}") for number in range(230)]
        for one in events:
            assert await stage.hold("s.w", one) == Held()
        first = await stage.resume()
        assert isinstance(first, Done)
        assert [row.event for row in first.rows] == events[:100]
        assert await stage.resume() == first
        await stage.mark(*(row.row for row in first.rows))
        release_at = (await stage.read()).head.release_at
        assert release_at > 0
        await stage.pause()
        assert ((await stage.read()).head.release_at, len((await stage.read()).held)) == (0, 130)
        second = await stage.resume()
        assert isinstance(second, Done)
        assert [row.event for row in second.rows] == events[100:200]
        await stage.mark(*(row.row for row in second.rows))
        await self.pass_time(1_000 + SOON)
        tick = await stage.tick()
        assert [row.event for row in tick.rows] == events[200:]
        record = await stage.read()
        assert (record.held, record.head.release_at) == ({}, 0)

    async def test_a_cancel_ends_the_pause_and_releases_what_was_held(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        await stage.pause()
        await stage.hold("s.b")
        answer = await stage.cancel()
        assert isinstance(answer, Done)
        assert [row.kind for row in answer.rows] == ["job", "undo"]
        assert [line.reason for line in await stage.history() if line.kind == "resumed"] == ["cancelled"]
        assert await stage.begin("s.b") == Refused(reason="run_compensating")
        await stage.undone(stage.job("s.a"))

    async def test_a_run_that_fails_by_itself_stays_paused_and_its_undo_is_held(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        failing = await stage.granted("s.w")
        await stage.pause()
        await stage.commit(stage.job("s.w"), failing.token, "bad")
        step = stage.job("s.a")
        assert isinstance(await stage.begin_undo(step), Paused)
        assert await stage.hold(step=step, worker="s.a", kind="undo", event=None) == Held()
        nothing = Hold(record=stage.run, step=stage.job("s.w"), worker="s.w", kind="undo")
        assert await store.hold(nothing) == NotPaused()
        answer = await stage.resume()
        assert isinstance(answer, Done)
        assert ("undo", "s.a", step) in [(row.kind, row.worker, row.step) for row in answer.rows]
        assert (await stage.undone(stage.job("s.a"))).run_ended == "compensated"

    async def test_a_run_that_ends_by_itself_gives_held_jobs_to_the_relay_before_it_is_forgotten(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store, retention=SOON)
        running = await stage.granted("s.w", lease=1)
        await stage.pause()
        await stage.hold("s.b")
        await stage.commit(stage.job("s.w"), running.token, "done")
        await stage.mark(*stage_rows(stage, "s.w", "done"))
        await self.pass_time(3 * SOON)
        assert await stage.phase() == "completed"
        [row] = (await stage.tick()).rows
        assert (row.kind, row.step) == ("job", stage.job("s.b"))
        assert await stage.phase() == "completed"
        await stage.mark(row.row)
        assert await store.read(stage.run) is None

    async def test_an_ended_run_is_not_paused_and_not_resumed(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.w", "done")
        refused = Refused(reason="run_completed")
        assert [await stage.pause(), await stage.resume()] == [refused, refused]
        assert await stage.hold("s.b") == NotPaused()

    async def test_a_paused_run_is_not_marked_idle(self, store: Store) -> None:
        stage = await Stage.built(store, idle_after=SOON)
        await stage.pause()
        await self.pass_time(3 * SOON)
        await stage.tick()
        assert (await stage.read()).head.stalled == []

    async def test_a_skip_commits_an_event_closes_the_letter_and_takes_the_mark_off(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        dead = await stage.dead()
        assert isinstance(dead, Dead)
        step = stage.job()
        answer = await stage.skip(step)
        assert isinstance(answer, Done)
        assert [row.event for row in answer.rows] == [stage.instead(step, "mid")]
        assert await stage.skip(step) == answer
        assert await stage.skip(step, "other") == Refused(reason="step_skipped")
        record = await stage.read()
        row = record.steps[step]
        assert (row.state, row.skipped, row.order, row.result) == ("skipped", True, 1, answer.rows[0].row)
        assert (record.letters, record.head.stalled, await store.letters()) == ({}, [], [])
        assert await store.discard(stage.discard(step, dead.generation)) == Discarded(outcome="gone")
        assert isinstance(await stage.begin(), Committed)
        [line] = [line for line in record.history if line.kind == "step_skipped"]
        assert (line.by, line.reason, line.event) == ("operator-1", "by hand", "mid")

    async def test_a_skip_waits_for_a_living_holder_and_fences_a_lost_one(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        assert await stage.skip(step) == Refused(reason="unknown_step")
        await stage.granted()
        assert await stage.skip(step) == Refused(reason="step_running")
        other = await stage.granted("s.lost", lease=1)
        await self.pass_time(SOON)
        assert isinstance(await stage.skip(stage.job("s.lost"), "done"), Done)
        assert await stage.phase() == "completed"
        assert await stage.commit(stage.job("s.lost"), other.token, "mid") == Fenced()

    async def test_a_step_whose_letter_was_answered_or_that_is_committed_is_not_skipped(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        await stage.dead(policy="answer")
        assert await stage.skip(stage.job()) == Refused(reason="answered")
        await stage.done("s.a", "mid")
        assert await stage.skip(stage.job("s.a")) == Refused(reason="step_committed")

    @pytest.mark.parametrize(("uncertain", "phase"), [(True, "compensating"), (False, "failed")])
    async def test_a_skipped_step_is_undone_as_one_of_unknown_outcome_in_the_place_of_its_skip(
        self, store: Store, uncertain: bool, phase: str
    ) -> None:
        stage = await Stage.built(store)
        undo = UndoSpec(uncertain=uncertain, admits=("never",))
        grant = await stage.granted(compensation=undo)
        step = stage.job()
        await stage.fail(step, grant.token, max_attempts=1, verdict=stage.verdict(step))
        await stage.skip(step)
        await stage.done("s.w", "bad", received=stage.instead(step, "mid"))
        assert await stage.phase() == phase
        if uncertain:
            undoing = await stage.begin_undo(step)
            assert isinstance(undoing, Granted)
            assert (undoing.unknown, undoing.result) == (True, None)

    async def test_the_deadline_is_moved_ahead_while_the_run_is_running(self, store: Store) -> None:
        stage = await Stage.built(store, deadline=HOUR)
        before = (await stage.read()).head.deadline_at
        assert await stage.move_deadline(before + HOUR) == Done()
        assert await stage.move_deadline(before + HOUR) == Done()
        assert await stage.move_deadline(1) == Refused(reason="in_the_past")
        record = await stage.read()
        assert record.head.deadline_at == before + HOUR
        [line] = [line for line in record.history if line.kind == "deadline_moved"]
        assert line.detail == (("at", str(before + HOUR)), ("before", str(before)))
        await stage.move_deadline(await store.now() + SOON)
        await self.pass_time(2 * SOON)
        await stage.tick()
        assert (await stage.read()).head.reason == "deadline"
        assert await stage.move_deadline(before) == Refused(reason="run_failed")

    async def test_a_run_without_deadline_gets_one(self, store: Store) -> None:
        stage = await Stage.built(store)
        at = await store.now() + HOUR
        call = MoveDeadline(record=stage.run, at=at)
        assert await store.move_deadline(call) == Done()
        record = await stage.read()
        assert (record.head.deadline_at, record.history[-1].detail) == (
            at,
            (("at", str(at)), ("before", "")),
        )

    async def test_what_is_emitted_from_outside_reaches_a_paused_run(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.pause()
        await store.emit(Emit(record=stage.run, event=event("end", "done")))
        record = await stage.read()
        assert (record.head.phase, record.head.paused_at) == ("completed", 0)


def stage_rows(stage: Stage, worker: str, *names: str) -> tuple[Any, ...]:
    """The outbox rows of what a worker's step has emitted."""
    rows: tuple[EventRow, ...] = stage.emitted(stage.job(worker), *names)
    return tuple(row.id for row in rows)
