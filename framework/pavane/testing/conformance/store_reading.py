"""Reading a store, and what processes agree on: listings, histories, locks, registrations."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pavane.core.identity import shard_of
from pavane.core.limiting import Rate
from pavane.ports.store import NOWHERE, AuditLine, Handed, Place, Registration, RunQuery, Store
from pavane.testing.conformance.store_stage import HOUR, SOON, Stage, StoreSuite


class Reading(StoreSuite):
    async def test_the_clock_goes_on(self, store: Store) -> None:
        before = await store.now()
        await self.pass_time(5)
        assert await store.now() > before

    async def test_runs_are_listed_by_status_and_time_in_a_total_order(self, store: Store) -> None:
        stages = [await Stage.built(store, str(number)) for number in range(5)]
        await stages[0].done("s.w", "done")
        await stages[1].dead()
        newest = await store.runs(RunQuery())
        assert newest == sorted(newest, key=lambda place: (place.at, place.key), reverse=True)
        assert {place.key for place in newest} == {stage.run for stage in stages}
        assert await store.runs(RunQuery(newest_first=False)) == newest[::-1]
        assert await self.keys(store, RunQuery(statuses=("completed",))) == [stages[0].run]
        assert await self.keys(store, RunQuery(statuses=("stalled",))) == [stages[1].run]
        both = RunQuery(statuses=("completed", "stalled"), newest_first=False)
        assert set(await self.keys(store, both)) == {stages[0].run, stages[1].run}
        assert len(await store.runs(RunQuery(workflow="flow"))) == 5
        assert await store.runs(RunQuery(workflow="flo")) == []

    async def test_a_listing_goes_on_from_a_place(self, store: Store) -> None:
        for number in range(7):
            await Stage(store, str(number)).start()
        for newest_first in (True, False):
            query = RunQuery(newest_first=newest_first)
            whole = await store.runs(query)
            paged: list[Place] = []
            while page := await store.runs(query, after=paged[-1] if paged else None, limit=2):
                assert len(page) <= 2
                paged += page
            assert paged == whole

    async def test_a_listing_is_bounded_by_the_start(self, store: Store) -> None:
        await Stage(store, "early").start()
        await self.pass_time(5)
        await Stage(store, "late").start()
        [late, early] = await store.runs(RunQuery())
        assert await store.runs(RunQuery(since=late.at)) == [late]
        assert await store.runs(RunQuery(until=late.at)) == [early]

    async def keys(self, store: Store, query: RunQuery) -> list[str]:
        return [place.key for place in await store.runs(query)]

    async def test_a_history_is_read_in_pages(self, store: Store) -> None:
        stage = await Stage.built(store)
        await stage.done("s.w", "mid", "other")
        lines = await stage.history()
        assert [line.kind for line in lines] == [
            "run_started",
            "step_started",
            "step_committed",
            "event_emitted",
            "event_emitted",
        ]
        assert (await stage.read()).history == lines
        assert await store.history(stage.run, after=lines[1].seq) == lines[2:]
        assert await store.history(stage.run, after=lines[1].seq, limit=2) == lines[2:4]
        assert await store.history(stage.run, after=lines[-1].seq) == []
        assert await store.history("flow:none") == []

    async def test_a_full_history_loses_its_oldest_lines_and_nothing_else(self, store: Store) -> None:
        stage = await Stage.built(store, max_history=3)
        for worker in ("s.a", "s.b", "s.c"):
            await stage.done(worker, "mid")
        lines = await stage.history()
        assert len(lines) == 3
        assert lines[-1].seq == (await stage.read()).head.seq
        assert len((await stage.read()).steps) == 3

    async def test_a_lock_has_one_owner_and_its_token_grows(self, store: Store) -> None:
        first = await store.claim("lock", "a", HOUR)
        assert first > 0
        assert await store.claim("lock", "a", HOUR) == first
        assert await store.claim("lock", "b", HOUR) == 0
        await store.disclaim("lock", "b")
        assert await store.claim("lock", "b", HOUR) == 0
        await store.disclaim("lock", "a")
        second = await store.claim("lock", "b", HOUR)
        assert second > first
        assert await store.claim("other", "a", HOUR) > 0

    async def test_a_lock_runs_out(self, store: Store) -> None:
        first = await store.claim("lock", "a", 1)
        await self.pass_time(SOON)
        second = await store.claim("lock", "b", 1)
        assert second > first
        await self.pass_time(SOON)
        assert await store.claim("lock", "b", HOUR) > second

    async def test_turns_are_handed_out_by_the_stores_clock(self, store: Store) -> None:
        rate = Rate(limiter="s.w", interval=HOUR * 1000, burst=2)
        assert [await store.take_turn(rate, job) for job in ("a", "b")] == [0, 0]
        wait = await store.take_turn(rate, "c")
        assert 0 < wait <= HOUR
        later = await store.take_turn(rate, "d")
        assert wait < later <= 2 * HOUR
        await self.pass_time(5)
        assert await store.take_turn(rate, "c") < wait
        other = Rate(limiter="s.other", interval=HOUR * 1000, burst=1)
        assert await store.take_turn(other, "c") == 0

    async def test_a_kept_turn_comes(self, store: Store) -> None:
        rate = Rate(limiter="s.soon", interval=SOON * 1000, burst=1)
        assert await store.take_turn(rate, "a") == 0
        assert await store.take_turn(rate, "b") > 0
        await self.pass_time(2 * SOON)
        assert await store.take_turn(rate, "b") == 0

    async def test_a_turn_that_was_not_used_is_given_back(self, store: Store) -> None:
        rate = Rate(limiter="s.back", interval=HOUR * 1000, burst=1)
        assert await store.take_turn(rate, "a") == 0
        await store.give_back_turn(rate)
        assert await store.take_turn(rate, "b") == 0
        assert await store.take_turn(rate, "c") > 0

    async def test_what_is_handed_over_is_taken_once_by_whom_it_is_for(self, store: Store) -> None:
        rows = [Handed(record="flow:1", row="undo/s.w:1"), Handed(record="~e", row="e")]
        await store.hand_over("s", rows)
        await store.hand_over("s", rows[:1])
        await store.hand_over("t", rows[1:])
        assert sorted(await store.handed(("s",)), key=str) == sorted(rows, key=str)
        assert await store.handed(("s", "t")) == rows[1:]

    async def test_who_waits_is_given_what_is_handed_over(self, store: Store) -> None:
        waiting = asyncio.ensure_future(store.handed(("s", "t")))
        row = Handed(record="flow:1", row="job/s.w:1")
        await store.hand_over("t", (row,))
        assert await asyncio.wait_for(waiting, 10) == [row]

    async def test_a_service_replaces_what_it_said(self, store: Store) -> None:
        first = Registration(
            service="s", subscriptions={"s.w": ("a", "b")}, workflows={"flow": "{}"}, alert_at={"s.w": 7}
        )
        other = Registration(service="t", subscriptions={}, workflows={})
        await store.register(first)
        await store.register(other)
        replaced = Registration(
            service="s", subscriptions={"s.v": ("c",)}, workflows={}, emits={"s.v": ("d", "e")}
        )
        await store.register(replaced)
        found = {registration.service: registration for registration in await store.registrations()}
        assert found == {"s": replaced, "t": other}

    async def test_what_is_declared_is_remembered_until_it_is_forgotten(self, store: Store) -> None:
        await store.remember(["s.a", "s.a placed"])
        await store.remember(["s.b", "s.a"])
        assert await store.remembered() == {"s.a", "s.a placed", "s.b"}
        await store.forget(["s.a placed", "s.none"])
        await store.forget([])
        await store.remember([])
        assert await store.remembered() == {"s.a", "s.b"}

    async def test_a_call_tells_when_its_record_is_due(self, store: Store) -> None:
        told: list[tuple[int, int]] = []
        store.on_due(lambda shard, at: told.append((shard, at)))
        stage = Stage(store)
        await stage.start()
        shard = shard_of(stage.run, store.shards)
        assert told[-1][0] == shard
        assert told[-1][1] == (await stage.tick()).next_due

    async def test_the_audit_keeps_every_line_and_lists_the_latest_first(self, store: Store) -> None:
        told = [
            AuditLine(
                by="operator-1", reason="schön \x1b", action="dlq redrive", subjects=subjects, outcome="begun"
            )
            for subjects in (("a",), (), ("b", "ü"))
        ]
        for line in told:
            await store.audit(line)
            await self.pass_time(2)
        found = await store.audited()
        assert [replace(line, place=NOWHERE) for line in found] == told[::-1]
        assert await store.audited(limit=1) == found[:1]
        assert await store.audited(after=found[0].place) == found[1:]
        assert await store.audited(since=found[1].place.at) == found[:2]
        assert await store.audited(after=found[2].place) == []
