"""Joins, and undo side by side, on a store."""

from __future__ import annotations

from pavane.core.answers import Dead, Fenced, Granted, Paused, Publication, Recorded, Refused
from pavane.core.calls import JoinSpec
from pavane.core.identity import joined_id, step_id
from pavane.core.kept import JOINED
from pavane.core.record import EventRow, UndoSpec
from pavane.ports.store import Place, RunQuery, Store
from pavane.testing.conformance.store_stage import SOON, Stage, StoreSuite, event

UNDO = UndoSpec()
LEFT, RIGHT = event("left-1", "left"), event("right-1", "right")
WORKER = "s.all"


def own(stage: Stage) -> EventRow:
    """The join's own event."""
    return event(joined_id(stage.run, WORKER), JOINED, b"{}")


async def brought(
    stage: Stage, received: EventRow, names: tuple[str, ...] = ("left", "right")
) -> tuple[Publication, ...]:
    """Deliver an event to the join; it must be recorded."""
    answer = await stage.begin(WORKER, received, join=JoinSpec(event=own(stage), names=names))
    assert isinstance(answer, Recorded), answer
    return answer.rows


class Joining(StoreSuite):
    async def test_a_join_runs_once_when_one_of_each_event_is_there(self, store: Store) -> None:
        stage = await Stage.built(store)
        assert await brought(stage, RIGHT) == ()
        assert await brought(stage, event("right-2", "right")) == ()
        fired = await brought(stage, LEFT)
        [job] = fired
        step = step_id(WORKER, own(stage).id)
        assert (job.kind, job.worker, job.step, job.event) == ("job", WORKER, step, own(stage))
        assert await brought(stage, LEFT) == fired
        join = (await stage.read()).joins[WORKER]
        assert (join.fired, join.arrived) == (True, (("right", RIGHT.id), ("left", LEFT.id)))
        await stage.mark(job.row)
        assert await brought(stage, event("left-2", "left")) == ()
        assert (await stage.told()).count("gathered") == 1

    async def test_its_job_is_granted_the_joined_events_in_the_handlers_order_and_so_is_its_undo(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        await self.gather(stage)
        step = step_id(WORKER, own(stage).id)
        spec = JoinSpec(event=own(stage), names=("left", "right"))
        grant = await stage.granted(WORKER, own(stage), join=spec, compensation=UNDO)
        assert grant.joined == (LEFT, RIGHT)
        await stage.commit(step, grant.token, "mid")
        await stage.done("s.w", "bad")
        undo = await stage.begin_undo(step)
        assert isinstance(undo, Granted)
        assert (undo.event, undo.joined, undo.unknown) == (own(stage), (LEFT, RIGHT), False)
        assert (await stage.granted("s.other", event("bad-own", "bad"), framework=True)).joined == ()

    async def gather(self, stage: Stage) -> None:
        await brought(stage, RIGHT)
        await stage.mark(*(row.row for row in await brought(stage, LEFT)))

    async def test_its_job_is_refused_before_it_is_complete_and_leaves_no_row(self, store: Store) -> None:
        stage = await Stage.built(store)
        spec = JoinSpec(event=own(stage), names=("left", "right"))
        await brought(stage, LEFT)
        assert await stage.begin(WORKER, own(stage), join=spec) == Refused(reason="join_open")
        assert (await stage.read()).steps == {}
        await self.gather(stage)
        await stage.granted(WORKER, own(stage), join=spec)

    async def test_an_open_join_shows_the_run_waiting(self, store: Store) -> None:
        stage = await Stage.built(store)
        await brought(stage, LEFT)
        assert await self.waiting(stage) == [stage.run]
        await stage.mark(*(row.row for row in await brought(stage, RIGHT)))
        assert await self.waiting(stage) == []

    async def test_an_open_join_hides_no_holder_that_is_gone(self, store: Store) -> None:
        stage = await Stage.built(store, idle_after=SOON)
        await brought(stage, LEFT)
        await self.pass_time(3 * SOON)
        await stage.tick()
        assert (await stage.read()).head.stalled == []  # it waits for an event, and says so
        await stage.granted("s.gone", lease=1)
        await self.pass_time(3 * SOON)
        await stage.tick()
        assert (await stage.read()).head.stalled == ["idle"]

    async def waiting(self, stage: Stage) -> list[str]:
        found: list[Place] = await stage.store.runs(RunQuery(statuses=("waiting",)))
        return [place.key for place in found]

    async def test_a_failing_run_drops_its_open_joins_and_takes_no_arrival(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.a", "mid", undo=UNDO)
        await brought(stage, LEFT)
        await stage.done("s.w", "bad")
        assert (await stage.read()).joins == {}
        spec = JoinSpec(event=own(stage), names=("left", "right"))
        answer = await stage.begin(WORKER, RIGHT, join=spec)
        assert answer == Refused(reason="run_compensating")

    async def test_a_completed_run_still_gathers(self, store: Store) -> None:
        stage = await Stage.built(store)
        await brought(stage, LEFT)
        await stage.done("s.w", "done")
        assert [row.kind for row in await brought(stage, RIGHT)] == ["job"]

    async def test_nothing_is_joined_outside_of_runs(self, store: Store) -> None:
        stage = Stage(store)
        spec = JoinSpec(event=own(stage), names=("left",))
        answer = await stage.begin(WORKER, LEFT, record=f"~{LEFT.id}", join=spec)
        assert answer == Refused(reason="not_in_run")

    async def test_an_arrival_in_a_paused_run_is_held_and_arrives_later(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.pause()
        spec = JoinSpec(event=own(stage), names=("left", "right"))
        assert isinstance(await stage.begin(WORKER, LEFT, join=spec), Paused)
        await stage.hold(WORKER, LEFT)
        assert (await stage.read()).joins == {}
        await stage.resume()
        await self.gather(stage)

    async def test_an_arrival_that_was_dead_commits_its_row(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = step_id(WORKER, LEFT.id)
        assert isinstance(await stage.reject(step, event=LEFT), Dead)
        redrive = await store.redrive(stage.redrive(step, 1))
        await brought_again(stage, LEFT, redrive.generation)
        row = (await stage.read()).steps[step]
        assert (row.state, row.order, row.first_token) == ("committed", 1, 0)

    async def test_who_began_an_arrival_before_its_worker_joined_events_is_fenced(self, store: Store) -> None:
        stage = await Stage.built(store)
        before = await stage.granted(WORKER, LEFT, lease=1)
        await self.pass_time(SOON)
        assert await brought(stage, LEFT) == ()
        step = step_id(WORKER, LEFT.id)
        assert await stage.commit(step, before.token, "mid") == Fenced()
        assert (await stage.read()).head.leases == 0

    async def test_the_latest_definition_of_an_open_join_counts(self, store: Store) -> None:
        stage = await Stage.built(store)
        await brought(stage, LEFT)
        assert [row.kind for row in await brought(stage, LEFT, ("left",))] == ["job"]


async def brought_again(stage: Stage, received: EventRow, generation: int) -> None:
    spec = JoinSpec(event=own(stage), names=("left", "right"))
    answer = await stage.begin(WORKER, received, join=spec, generation=generation)
    assert isinstance(answer, Recorded), answer


class Branching(StoreSuite):
    async def test_undos_that_nothing_ties_are_woken_together_and_causes_wait_for_them(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store, undo="parallel")
        await stage.done("s.root", "mid", undo=UNDO)
        [middle] = stage.emitted(stage.job("s.root"), "mid")
        await stage.done("s.a", "other", undo=UNDO, received=middle)
        await stage.done("s.b", "other", undo=UNDO, received=middle)
        failed = await stage.done("s.w", "bad", publish=False)
        root, *branches = (stage.job("s.root"), stage.job("s.a", middle), stage.job("s.b", middle))
        assert {row.step for row in failed.rows if row.kind == "undo"} == set(branches)
        assert (await stage.read()).steps[root].awaits == 2
        first = await stage.undone(branches[0])
        assert first.rows == ()
        second = await stage.undone(branches[1])
        assert [row.step for row in second.rows] == [root]
        assert (await stage.undone(root)).run_ended == "compensated"

    async def test_a_join_ties_both_its_branches_to_what_follows_it(self, store: Store) -> None:
        stage = await Stage.built(store, undo="parallel")
        await stage.done("s.a", "left", undo=UNDO)
        await stage.done("s.b", "right", undo=UNDO)
        await brought(stage, stage.emitted(stage.job("s.a"), "left")[0])
        fired = await brought(stage, stage.emitted(stage.job("s.b"), "right")[0])
        await stage.mark(*(row.row for row in fired))
        spec = JoinSpec(event=own(stage), names=("left", "right"))
        grant = await stage.granted(WORKER, own(stage), join=spec, compensation=UNDO)
        step = step_id(WORKER, own(stage).id)
        await stage.commit(step, grant.token, "mid")
        await stage.done("s.w", "bad")
        record = await stage.read()
        assert set(record.steps[step].holds_up) == {stage.job("s.a"), stage.job("s.b")}
        woken = await stage.undone(step)
        assert {row.step for row in woken.rows} == {stage.job("s.a"), stage.job("s.b")}
