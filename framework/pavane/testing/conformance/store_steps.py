"""Steps on a store: begin, commit, fail, release, renew, and that each may be asked twice."""

from __future__ import annotations

from dataclasses import replace

from pavane.core.answers import (
    Committed,
    Dead,
    Emitted,
    Exhausted,
    Fenced,
    Granted,
    Isolate,
    Leased,
    NotYet,
    Refused,
    Released,
    Renewed,
    Retrying,
    Stale,
    UnknownRun,
)
from pavane.core.calls import Emit, Mark, Release, Renew
from pavane.ports.store import Store
from pavane.testing.conformance.store_stage import HOUR, SOON, Stage, StoreSuite, event


class Stepping(StoreSuite):
    async def test_starting_twice_attaches_and_keeps_the_first_payload(self, store: Store) -> None:
        stage = Stage(store)
        first = await stage.start()
        assert (first.created, first.conflict, [row.event for row in first.rows]) == (
            True,
            False,
            [stage.first],
        )
        assert await stage.start() == first
        other = await stage.start(event=event("other", "go", b"2"), digest="e")
        assert (other.created, other.conflict, other.event_id) == (False, True, stage.first.id)
        assert [row.event for row in other.rows] == [stage.first]
        assert (await stage.read()).events == {stage.first.id: stage.first}
        await stage.mark(stage.first.id)
        assert (await stage.start()).rows == ()

    async def test_many_marks_at_once_are_taken_each_in_its_own_record(self, store: Store) -> None:
        stages = [Stage(store, f"many-{number}") for number in range(40)]
        marks: list[Mark] = []
        for stage in stages:
            await stage.start()
            marks.append(Mark(record=stage.run, rows=(stage.first.id,)))
        absent = Mark(record="flow:nobody", rows=("x",))
        await store.mark_all([*marks, absent, marks[0]])
        assert [(await stage.read()).outbox for stage in stages] == [{}] * 40
        assert await store.read("flow:nobody") is None

    async def test_a_starting_event_from_elsewhere_makes_the_run_and_another_one_is_refused(
        self, store: Store
    ) -> None:
        stage = Stage(store)
        await stage.granted(contract=stage.contract, run_id="1", digest="d")
        assert (await stage.read()).head.start_event == stage.first.id
        second = await stage.begin(
            received=event("second", "go"), contract=stage.contract, run_id="1", digest="d"
        )
        assert second == Refused(reason="second_start")

    async def test_no_other_event_makes_a_run(self, store: Store) -> None:
        stage = Stage(store)
        assert await stage.begin() == UnknownRun()
        assert await store.emit(Emit(record=stage.run, event=event("e"))) == UnknownRun()
        assert await stage.reject(stage.job()) == UnknownRun()
        assert await store.read(stage.run) is None

    async def test_an_event_from_outside_is_taken_once_and_only_while_the_run_is_running(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        answer = await store.emit(Emit(record=stage.run, event=event("outside")))
        assert isinstance(answer, Emitted)
        assert [row.event for row in answer.rows] == [event("outside")]
        assert await store.emit(Emit(record=stage.run, event=event("outside"))) == answer
        await stage.done("s.w", "done")
        assert await store.emit(Emit(record=stage.run, event=event("late"))) == Refused(
            reason="run_completed"
        )

    async def test_a_job_is_granted_to_one_at_a_time(self, store: Store) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted(begin_id="mine")
        again = await stage.granted(begin_id="mine")
        assert replace(again, now=grant.now) == grant
        other = await stage.begin()
        assert isinstance(other, Leased)
        assert 0 < other.remaining <= HOUR

    async def test_a_lease_that_ran_out_goes_to_the_next_and_fences_the_first(self, store: Store) -> None:
        stage = await Stage.built(store)
        first = await stage.granted(lease=1)
        await self.pass_time(SOON)
        second = await stage.granted()
        assert second.token > first.token
        assert second.attempt == 2
        assert await stage.commit(stage.job(), first.token, "mid") == Fenced()
        assert isinstance(await stage.commit(stage.job(), second.token, "mid"), Committed)

    async def test_a_lease_that_ran_out_but_was_not_taken_may_be_renewed_and_committed(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted(lease=1)
        await self.pass_time(SOON)
        call = Renew(
            record=stage.run, step=stage.job(), token=grant.token, lease=HOUR, progress=0.5, note="half"
        )
        renewed = await store.renew(call)
        assert isinstance(renewed, Renewed)
        assert renewed.lease_until > grant.lease_until
        assert not renewed.stopping
        row = (await stage.read()).steps[stage.job()]
        assert (row.progress, row.note) == (0.5, "half")
        assert isinstance(await stage.commit(stage.job(), grant.token, "mid"), Committed)
        assert await store.renew(call) == Fenced()

    async def test_a_commit_writes_result_data_and_events_together_and_is_answered_again(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted()
        step = stage.job()
        answer = await stage.commit(step, grant.token, "mid", "other", data=(("k", b"\x00\xff\n"),))
        assert isinstance(answer, Committed)
        assert [row.event for row in answer.rows] == list(stage.emitted(step, "mid", "other"))
        again = await stage.commit(step, grant.token, "mid", "other")
        assert isinstance(again, Committed)
        assert {row.row for row in again.rows} == {row.row for row in answer.rows}
        record = await stage.read()
        assert record.data == {"k": b"\x00\xff\n"}
        assert record.steps[step].emitted == [row.row for row in answer.rows]
        assert await stage.begin() == again
        await stage.mark(*record.steps[step].emitted)
        assert await stage.begin() == Committed()

    async def test_the_next_step_sees_the_data_of_the_last_and_payloads_come_back_as_they_were(
        self, store: Store
    ) -> None:
        stage = await Stage.built(store)
        payload = bytes(range(256)) + "ü🎻".encode() + b'"\\\n\n{}[]'
        grant = await stage.granted()
        emitted = event("odd", "mid", payload)
        await stage.commit(
            stage.job(),
            grant.token,
            events=(emitted,),
            result="odd",
            data=(("ü", payload), ("b", b"")),
        )
        assert (await stage.read()).events["odd"] == emitted
        assert (await stage.granted("s.next", emitted)).data == (("b", b""), ("ü", payload))
        answer = await stage.begin()
        assert isinstance(answer, Committed)
        assert [row.event for row in answer.rows] == [emitted]

    async def test_a_failure_makes_a_new_generation_and_the_old_delivery_stale(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        grant = await stage.granted()
        answer = await stage.fail(step, grant.token)
        assert answer == Retrying(generation=1, delay=HOUR)
        again = await stage.fail(step, grant.token)
        assert isinstance(again, Retrying)
        assert again.generation == 1
        stale = await stage.begin()
        assert isinstance(stale, Stale)
        assert (stale.publish, stale.generation) == ("retry", 1)
        assert isinstance(await stage.begin(generation=1), NotYet)
        await stage.mark_copy(step, 0)
        assert (await stage.read()).steps[step].work.unpublished == "retry"
        await stage.mark_copy(step, 1)
        marked = await stage.begin()
        assert isinstance(marked, Stale)
        assert (marked.publish, marked.generation) == ("", 1)

    async def test_the_last_attempt_asks_for_a_verdict_and_writes_nothing(self, store: Store) -> None:
        stage = await Stage.built(store)
        step = stage.job()
        grant = await stage.granted()
        before = await stage.read()
        answer = await stage.fail(step, grant.token, max_attempts=1)
        assert answer == Exhausted(reason="attempts", attempts=1, error="boom", error_type="ValueError")
        assert await stage.read() == before
        dead = await stage.fail(step, grant.token, max_attempts=1, verdict=stage.verdict(step))
        assert isinstance(dead, Dead)
        assert (dead.generation, dead.publish, dead.letter.headers) == (1, True, (("a", "b"),))

    async def test_a_rejection_is_exhausted_at_the_first_attempt(self, store: Store) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted()
        answer = await stage.fail(stage.job(), grant.token, outcome="rejected")
        assert isinstance(answer, Exhausted)
        assert answer.reason == "rejected"

    async def test_a_released_attempt_is_given_back(self, store: Store) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted()
        call = Release(record=stage.run, step=stage.job(), token=grant.token)
        assert await store.release(call) == Released()
        assert await store.release(call) == Released()
        assert (await stage.granted()).attempt == 1

    async def test_not_now_waits_without_a_failure(self, store: Store) -> None:
        stage = await Stage.built(store)
        grant = await stage.granted()
        await store.release(Release(record=stage.run, step=stage.job(), token=grant.token, after=HOUR))
        assert isinstance(await stage.begin(), NotYet)
        assert (await stage.read()).steps[stage.job()].work.failures == 0

    async def test_two_crashes_isolate_and_a_third_is_a_crash_loop(self, store: Store) -> None:
        stage = await Stage.built(store)
        for _ in range(2):
            await stage.granted(lease=1)
            await self.pass_time(SOON)
        assert await stage.begin() == Isolate()
        await stage.granted(alone=True, lease=1)
        await self.pass_time(SOON)
        answer = await stage.begin(alone=True)
        assert isinstance(answer, Exhausted)
        assert answer.reason == "crash_loop"
        step = stage.job()
        dead = await stage.begin(alone=True, verdict=stage.verdict(step))
        assert isinstance(dead, Dead)

    async def test_a_holder_who_reports_is_no_crash(self, store: Store) -> None:
        stage = await Stage.built(store)
        tokens: list[int] = []
        for _ in range(2):
            tokens.append((await stage.granted(lease=1)).token)
            await self.pass_time(SOON)
        assert isinstance(await stage.begin(ended=tuple(tokens)), Granted)

    async def test_an_event_outside_workflows_is_worked_on_once(self, store: Store) -> None:
        stage = Stage(store)
        record = "~loose"
        loose = event("loose")
        answer = await stage.granted("s.w", loose, record=record)
        step = stage.job("s.w", loose)
        assert isinstance(await stage.commit(step, answer.token, record=record), Committed)
        assert await stage.begin("s.w", loose, record=record) == Committed()
        found = await store.read(record)
        assert found is not None
        assert not found.head.is_run
