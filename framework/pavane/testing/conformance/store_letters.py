"""Dead letters on a store: how they are listed, redriven and discarded."""

from __future__ import annotations

import pytest

from pavane.core.answers import (
    Committed,
    Dead,
    Discarded,
    Filed,
    PutBack,
    Redriven,
    Refused,
    Stale,
    UnknownRun,
)
from pavane.core.calls import Policy
from pavane.core.identity import letter_id
from pavane.ports.store import Place, Store
from pavane.testing.conformance.store_stage import Stage, StoreSuite


class Lettering(StoreSuite):
    async def test_a_dead_job_stalls_its_run_and_its_letter_is_found(self, store: Store) -> None:
        stage = await Stage.built(store)
        dead = await stage.dead()
        assert isinstance(dead, Dead)
        step = stage.job()
        record = await stage.read()
        assert record.head.stalled == [f"dead:{step}"]
        [place] = await store.letters()
        assert place == Place(at=dead.letter.dead_at, key=letter_id(stage.run, step, "step"))
        found = await store.letter(place.key)
        assert found is not None
        assert (found.record, found.letter) == (record, dead.letter)
        assert await store.letter("none") is None

    async def test_a_dead_jobs_delivery_publishes_the_letter_until_it_is_marked(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.dead()
        first = await stage.begin()
        assert isinstance(first, Dead)
        assert first.publish
        await stage.mark_copy(stage.job(), first.generation)
        second = await stage.begin()
        assert isinstance(second, Dead)
        assert not second.publish

    @pytest.mark.parametrize(("policy", "phase"), [("answer", "running"), ("compensate", "failed")])
    async def test_the_policy_is_carried_out_in_the_same_call(
        self, store: Store, policy: Policy, phase: str
    ) -> None:
        stage = await Stage.built(store)
        dead = await stage.dead(policy=policy)
        assert isinstance(dead, Dead)
        record = await stage.read()
        assert (record.head.phase, record.head.stalled, dead.letter.answered) == (phase, [], True)
        assert [row.event.name for row in dead.rows] == (["mid"] if policy == "answer" else [])
        answer = await store.redrive(stage.redrive(stage.job(), dead.generation))
        assert answer == Redriven(outcome="refused", reason="answered")

    async def test_a_redriven_job_has_all_its_attempts_and_a_pass_may_ask_twice(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.dead()
        step = stage.job()
        call = stage.redrive(step, 1)
        assert await store.redrive(call) == Redriven(outcome="publish", generation=2)
        assert await store.redrive(call) == Redriven(outcome="again", generation=2)
        await stage.mark_copy(step, 2)
        assert await store.redrive(call) == Redriven(outcome="gone", generation=2)
        assert (await store.letters(), (await stage.read()).head.stalled) == ([], [])
        grant = await stage.granted(generation=2)
        assert grant.failures == 0
        assert isinstance(await stage.commit(step, grant.token, "mid"), Committed)

    async def test_a_live_runs_letter_is_not_dropped_without_a_decision(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.dead()
        step = stage.job()
        assert await store.discard(stage.discard(step, 1)) == Discarded(
            outcome="refused", reason="run_is_live"
        )
        left = await store.discard(stage.discard(step, 1, then="leave"))
        assert left.outcome == "done"
        assert (await stage.read()).head.stalled == [f"discarded:{step}"]
        assert await store.discard(stage.discard(step, 1, then="leave")) == Discarded(outcome="gone")
        assert await stage.begin(generation=1) == Refused(reason="discarded")
        assert await store.letters() == []

    async def test_discarding_may_fail_the_run(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.dead()
        await store.discard(stage.discard(stage.job(), 1, then="compensate"))
        assert await stage.phase() == "failed"

    async def test_an_edited_letter_is_closed_and_its_new_job_alone_may_begin(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.dead()
        call = stage.edit(stage.job(), 1)
        answer = await store.edit(call)
        [row] = answer.rows
        assert (answer.outcome, row.kind, row.edited, row.event) == ("done", "job", True, call.event)
        assert await store.edit(call) == answer
        assert (await store.letters(), (await stage.read()).head.stalled) == ([], [])
        assert await stage.begin(generation=1) == Refused(reason="discarded")
        forged = await stage.begin("s.v", edited=True)
        assert forged == Refused(reason="not_edited")
        grant = await stage.granted(received=call.event, edited=True)
        assert grant.key_step == stage.job()
        assert isinstance(await stage.commit(row.step, grant.token, "mid"), Committed)
        line = next(line for line in (await stage.read()).history if line.kind == "redriven")
        assert (line.by, dict(line.detail)) == ("operator-1", {"edited": call.event.id, "key": "kept"})

    async def test_a_letter_that_the_record_does_not_know_is_filed_at_its_own_generation(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        assert isinstance(await stage.file(step, 3), Filed)
        assert await stage.file(step, 3) == Filed(outcome="known")
        record = await stage.read()
        work = record.steps[step].work
        assert (work.generation, work.unpublished, record.head.stalled) == (3, "", [f"dead:{step}"])
        [place] = await store.letters()
        assert (place.key, place.record) == (letter_id(stage.run, step, "step"), stage.run)
        [line] = [line for line in record.history if line.kind == "adopted"]
        assert (line.by, line.reason, line.step) == ("operator-1", "Redis was restored", step)
        assert await store.redrive(stage.redrive(step, 3)) == Redriven(outcome="publish", generation=4)
        grant = await stage.granted(generation=4)
        assert isinstance(await stage.commit(step, grant.token, "mid"), Committed)

    async def test_a_letter_whose_job_has_got_further_is_not_filed(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        grant = await stage.granted()
        assert await stage.file(step, 1) == Filed(outcome="refused", reason="step_running")
        await stage.fail(step, grant.token)
        assert await stage.file(step, 1) == Filed(outcome="gone")
        assert await stage.file(step, 2, kind="undo") == Filed(outcome="refused", reason="no_undo")
        await stage.done("s.v")
        assert await stage.file(stage.job("s.v"), 5) == Filed(outcome="gone")
        assert await store.letters() == []

    async def test_a_letter_without_its_run_is_filed_in_a_record_of_its_own(self, store: Store) -> None:
        stage = Stage(store)
        assert await stage.file("s.w:odd", 1) == UnknownRun()
        filed = await stage.file("s.w:odd", 1, record="~odd", own_record=True)
        assert filed == Filed(outcome="done")
        [place] = await store.letters()
        found = await store.letter(place.key, place.record)
        assert found is not None
        assert (found.record.head.key, found.letter.generation) == ("~odd", 1)

    async def test_a_message_that_cannot_become_a_job_is_dead_lettered_without_a_lease(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        first = await stage.reject(step)
        assert isinstance(first, Dead)
        again = await stage.reject(step)
        assert isinstance(again, Dead)
        assert again.letter == first.letter
        assert (await stage.read()).head.stalled == [f"dead:{step}"]

    async def test_a_message_without_a_run_gets_a_record_of_its_own(self, store: Store) -> None:
        stage = Stage(store)
        assert isinstance(await stage.reject("s.w:odd", record="~odd", own_record=True, event=None), Dead)
        [place] = await store.letters()
        found = await store.letter(place.key)
        assert found is not None
        assert found.record.head.key == "~odd"

    async def test_the_broker_may_give_a_message_up_once_before_it_is_dead(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        assert await stage.reject(step, delivery_limit=True) == PutBack(delay=0)
        assert isinstance(await stage.reject(step, delivery_limit=True), Dead)

    async def test_what_the_broker_gives_up_is_looked_at_first(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        grant = await stage.granted()
        held = await stage.reject(step, delivery_limit=True)
        assert isinstance(held, PutBack)
        assert held.delay > 0
        await stage.fail(step, grant.token)
        assert isinstance(await stage.reject(step, delivery_limit=True), Stale)
        await stage.done("s.v")
        assert isinstance(await stage.reject(stage.job("s.v"), delivery_limit=True), Committed)

    async def test_letters_are_listed_oldest_first_from_a_place(self, store: Store) -> None:
        for number in range(3):
            stage = await Stage.built(store, str(number))
            await stage.dead()
            await self.pass_time(2)
        places = await store.letters()
        assert places == sorted(places, key=lambda place: (place.at, place.key))
        assert len(places) == 3
        assert await store.letters(limit=2) == places[:2]
        assert await store.letters(after=places[0]) == places[1:]
        assert await store.letters(after=places[2]) == []
