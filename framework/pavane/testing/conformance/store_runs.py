"""Runs on a store: how they end, undo, timers, deadlines, idleness, and when they are forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pavane.core.answers import Committed, Fenced, Granted, Late, Recorded, Refused, Renewed
from pavane.core.calls import Commit, Release, Renew, TimerSet
from pavane.core.record import UndoSpec
from pavane.ports.store import Store
from pavane.testing.conformance.store_stage import HOUR, SOON, Stage, StoreSuite, event

UNDO = UndoSpec()


class Running(StoreSuite):
    async def test_the_first_ending_wins_and_other_branches_drain(self, store: Store) -> None:
        stage = await Stage.built(store)
        stage.subscribed = ("pavane.run_ended",)
        other = await stage.granted("s.other")
        ended = await stage.done("s.w", "done")
        assert ended.run_ended == "completed"
        assert [row.event.name for row in ended.rows] == ["done", "pavane.run_ended"]
        answer = await stage.commit(stage.job("s.other"), other.token, "bad")
        assert isinstance(answer, Committed)
        assert answer.run_ended == ""
        assert await stage.phase() == "completed"

    async def test_undo_goes_backwards_one_after_the_other(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        await stage.done("s.b", "mid", undo=UNDO)
        failed = await stage.done("s.c", "bad", undo=UNDO, publish=False)
        assert failed.run_ended == "compensating"
        assert [(row.kind, row.step) for row in failed.rows if row.kind == "undo"] == [
            ("undo", stage.job("s.b"))
        ]
        assert failed.rows[-1].event == stage.first
        assert await stage.begin_undo(stage.job("s.a")) == Refused(reason="no_undo")
        second = await self.undone(stage, "s.b")
        assert [row.step for row in second.rows] == [stage.job("s.a")]
        last = await self.undone(stage, "s.a")
        assert (last.run_ended, await stage.phase()) == ("compensated", "compensated")

    async def undone(self, stage: Stage, worker: str) -> Committed:
        """Run the undo of a step; asking twice changes nothing."""
        step = stage.job(worker)
        grant = await stage.begin_undo(step)
        assert isinstance(grant, Granted)
        assert (grant.event, grant.reason, grant.unknown) == (stage.first, "bad", False)
        assert grant.result is not None
        answer = await stage.commit_undo(step, grant.token)
        assert isinstance(answer, Committed)
        again = await stage.commit_undo(step, grant.token)
        assert isinstance(again, Committed)
        assert await stage.commit_undo(step, grant.token + 1) == Fenced()
        return answer

    async def test_an_empty_chain_fails_the_run_at_once(self, store: Store) -> None:
        stage = await Stage.built(store)
        assert (await stage.done("s.w", "bad")).run_ended == "failed"

    async def test_undo_waits_for_the_last_lease_and_a_late_commit_is_undone_too(self, store: Store) -> None:
        stage = await Stage.built(store)
        late = await stage.granted("s.late", compensation=UNDO)
        await stage.done("s.w", "bad")
        assert (await stage.read()).undo == []
        step = stage.job("s.late")
        renewed = await store.renew(Renew(record=stage.run, step=step, token=late.token, lease=HOUR))
        assert isinstance(renewed, Renewed)
        assert renewed.stopping
        answer = await stage.commit(step, late.token, "mid")
        assert isinstance(answer, Late)
        assert [row.step for row in answer.rows] == [step]
        assert isinstance(await stage.commit(step, late.token, "mid"), Late)
        assert stage.emitted(step, "mid")[0].id not in (await stage.read()).outbox

    async def test_a_step_that_ends_without_result_in_a_failing_run_is_undone_as_unknown(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        running = await stage.granted("s.slow", compensation=UNDO)
        failing = await stage.granted("s.failing", compensation=UNDO)
        await stage.done("s.w", "bad")
        released = await store.release(
            Release(record=stage.run, step=stage.job("s.slow"), token=running.token)
        )
        assert isinstance(released, Recorded)
        failed = await stage.fail(stage.job("s.failing"), failing.token)
        assert isinstance(failed, Recorded)
        assert [row.step for row in failed.rows] == [stage.job("s.failing")]
        grant = await stage.begin_undo(stage.job("s.failing"))
        assert isinstance(grant, Granted)
        assert grant.unknown

    async def test_only_the_closing_branch_begins_in_a_failing_run(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        await stage.done("s.w", "bad")
        bad = stage.emitted(stage.job("s.w"), "bad")[0]
        assert await stage.begin("s.b") == Refused(reason="run_compensating")
        closing = await stage.granted("s.notify", bad)
        step = stage.job("s.notify", bad)
        assert isinstance(await stage.commit(step, closing.token, "mid"), Committed)
        follower = stage.emitted(step, "mid")[0]
        await stage.granted("s.after", follower, cause=step)
        assert isinstance(await stage.begin("s.forged", event("forged"), cause=step), Refused)

    async def test_a_timer_fires_once_not_before_its_time(self, store: Store) -> None:
        stage = await Stage.built(store)
        far = TimerSet(key="far", at=HOUR, event=event("later", "late"))
        await self.set_timer(stage, "s.far", timers=(far,), relative=("far",))
        await self.set_timer(stage, "s.w", at=SOON)
        assert (await stage.read()).timers["t"].event == event("rung", "late")
        await self.pass_time(2 * SOON)
        fired = await stage.tick()
        assert [row.event for row in fired.rows] == [event("rung", "late")]
        assert (await stage.tick()).rows == ()
        assert list((await stage.read()).timers) == ["far"]
        assert "timer_fired" in await stage.told()

    async def test_a_timer_can_be_cancelled_and_replaced(self, store: Store) -> None:
        stage = await Stage.built(store)
        await self.set_timer(stage, "s.a", at=HOUR)
        await self.set_timer(stage, "s.b", at=2 * HOUR)
        [timer] = (await stage.read()).timers.values()
        assert timer.set_by == stage.job("s.b")
        await self.set_timer(stage, "s.c", cancelled_timers=("t",), timers=())
        assert (await stage.read()).timers == {}

    async def test_an_ending_takes_the_timers_with_it(self, store: Store) -> None:
        stage = await Stage.built(store)
        await self.set_timer(stage, "s.a", at=HOUR)
        await stage.done("s.w", "done")
        assert (await stage.read()).timers == {}

    async def set_timer(self, stage: Stage, worker: str, at: int = 0, **changed: Any) -> None:
        grant = await stage.granted(worker)
        call = Commit(
            record=stage.run,
            step=stage.job(worker),
            token=grant.token,
            timers=(TimerSet(key="t", at=at, event=event("rung", "late")),),
            relative=("t",),
        )
        answer = await stage.store.commit(replace(call, **changed))
        assert isinstance(answer, Committed)

    async def test_the_deadline_fails_the_run(self, store: Store) -> None:
        stage = await Stage.built(store, deadline=SOON)
        await self.pass_time(2 * SOON)
        await stage.tick()
        record = await stage.read()
        assert (record.head.phase, record.head.reason) == ("failed", "deadline")

    async def test_leases_of_a_failing_run_that_ran_out_are_voided(self, store: Store) -> None:
        stage = await Stage.built(store)
        frozen = await stage.granted("s.frozen", lease=SOON, compensation=UNDO)
        await stage.done("s.w", "bad")
        await self.pass_time(2 * SOON)
        [row] = (await stage.tick()).rows
        assert row.step == stage.job("s.frozen")
        assert await stage.commit(stage.job("s.frozen"), frozen.token, "mid") == Fenced()

    async def test_what_is_not_marked_is_published_again_later(self, store: Store) -> None:
        stage = Stage(store)
        started = await stage.start()
        tick = await stage.tick()
        assert tick.rows == ()
        assert tick.next_due > tick.now
        await self.pass_time(tick.next_due - tick.now + SOON)
        again = await stage.tick()
        assert again.rows == started.rows
        assert again.next_due > again.now
        await stage.mark(stage.first.id)
        assert (await stage.read()).outbox == {}

    async def test_a_returned_event_stays_and_lists_the_run_until_it_is_published(self, store: Store) -> None:
        stage = Stage(store)
        await stage.start()
        await stage.mark(returned=(stage.first.id,))
        record = await stage.read()
        assert (list(record.outbox), record.head.stalled) == ([stage.first.id], ["unroutable:go"])
        await stage.mark(stage.first.id, unrouted=(stage.first.id,))
        record = await stage.read()
        assert (record.outbox, record.head.stalled) == ({}, [])
        assert record.history[-1].kind == "unrouted"

    async def test_an_idle_run_is_listed_until_something_begins(self, store: Store) -> None:
        stage = await Stage.built(store, idle_after=SOON)
        await self.pass_time(3 * SOON)
        await stage.tick()
        assert (await stage.read()).head.stalled == ["idle"]
        await stage.granted()
        assert (await stage.read()).head.stalled == []

    async def test_an_ended_run_is_forgotten_after_its_retention(self, store: Store) -> None:
        stage = await Stage.built(store, retention=SOON)
        await stage.done("s.w", "done", lease=1)
        await self.pass_time(3 * SOON)
        assert await store.read(stage.run) is None
        assert await store.history(stage.run) == []
        await stage.tick()
        assert (await stage.tick()).next_due == 0
        assert (await stage.start()).created

    async def test_a_run_whose_retention_is_over_is_gone_before_the_tick_has_noticed(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store, retention=SOON)
        await stage.done("s.w", "done", lease=1)
        await self.pass_time(3 * SOON)
        started = await stage.start(event=event("again", "go"), digest="other")
        assert (started.created, started.conflict) == (True, False)
        assert set((await stage.read()).steps) == set()

    async def test_a_letter_keeps_its_run(self, store: Store) -> None:
        stage = await Stage.built(store, retention=SOON)
        await stage.dead("s.dead", lease=1)
        await stage.done("s.w", "done", lease=1)
        await self.pass_time(3 * SOON)
        await stage.tick()
        assert await stage.phase() == "completed"
