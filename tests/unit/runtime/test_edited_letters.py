"""Edited dead letters under the harness: the worker runs the new payload, in the run that the letter belonged to."""

from __future__ import annotations

from typing import Any

import pytest

from pavane import App, Context, Event, Reject, Retry, Service, UndoContext, Workflow
from pavane.core.envelope import EDITED, event_headers
from pavane.core.record import EventRow
from pavane.core.topology import DELIVERY_LIMIT
from pavane.ports.broker import Message, ToQueue
from pavane.testing import Harness


class Ordered(Event, name="edittest.ordered", extra="forbid"):
    order: str
    card: str


class Paid(Event, name="edittest.paid"):
    card: str


class Shipped(Event, name="edittest.shipped"):
    card: str


class Noted(Event, name="edittest.noted"):
    text: str


class Failed(Event, name="edittest.failed"):
    card: str


orders = Workflow(
    "edittest_orders",
    starts_with=Ordered,
    run_id=lambda event: event.order,
    completes_with=[Shipped],
    fails_with=[Failed],
)


class Till:
    """The app, and what its handlers saw."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, str]] = []
        self.undone: list[tuple[str, str, str]] = []
        shop, mail = Service("edittest"), Service("editmail")

        async def refund(ctx: UndoContext, event: Ordered, done: Paid | None) -> None:
            self.undone.append((event.card, ctx.outcome, ctx.idempotency_key))

        @shop.queue_worker("pay").compensate_with(refund)
        async def pay(ctx: Context, event: Ordered) -> Paid:
            self.keys.append((event.card, ctx.idempotency_key))
            if event.card == "mistyped":
                raise Reject("no such card")
            return Paid(card=event.card)

        @mail.queue_worker("ship")
        async def ship(ctx: Context, event: Paid) -> Shipped | Failed:
            return Failed(card=event.card) if event.card == "stolen" else Shipped(card=event.card)

        @mail.queue_worker("note")
        async def note(ctx: Context, event: Noted) -> None:
            self.keys.append((event.text, ctx.idempotency_key))
            if event.text == "bad":
                raise Reject("unreadable")

        self.app = App(services=[shop, mail], workflows=[orders])


async def only_letter(harness: Harness) -> str:
    [letter] = await harness.client.dead_letters.list().all()
    return letter.id


async def test_the_job_runs_again_with_the_new_payload_and_the_old_key() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        letter = await only_letter(harness)
        event_id = await harness.client.dead_letters.edit(
            letter, {"order": "1", "card": "4242"}, reason="mistyped", by="operator-1"
        )
        assert await run.result() == Shipped(card="4242")
        [(_, first), (card, second)] = till.keys
        assert (card, first) == ("4242", second)
        steps = {step.step_id: step async for step in run.steps(worker="edittest.pay")}
        assert [step.status for step in steps.values()] == ["dead", "committed"]
        edited = steps[f"edittest.pay:{event_id}"]
        assert edited.event is not None
        assert edited.event.payload == {"order": "1", "card": "4242"}
        assert await harness.client.dead_letters.list().all() == []
        # The letter's message is still in its queue, until the next round finds that nobody wants it.
        means = harness.client.dead_letters._means
        queue = [means.names.dead_letter_queue("edittest", "pay")]
        assert [count.ready for count in await means.broker.count(queue) if count] == [1]
        again = await harness.client.dead_letters.redrive(everything=True)
        assert (again.matched, again.done) == (0, 0)
        assert [count.ready for count in await means.broker.count(queue) if count] == [0]
        await harness.until_idle()
        assert len(till.keys) == 2


async def test_an_edit_may_name_another_run_and_stays_in_its_own() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "2", "card": "4242"}, reason="mistyped"
        )
        await run.result()
        assert [one.run async for one in harness.client.runs()] == ["edittest_orders:1"]


async def test_what_an_edited_step_did_is_undone_and_what_the_first_one_may_have_done_too() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "1", "card": "stolen"}, reason="mistyped"
        )
        assert (await run.wait()).status == "compensated"
        assert [(card, outcome) for card, outcome, _ in till.undone] == [
            ("mistyped", "unknown"),
            ("stolen", "committed"),
        ]
        assert till.undone[0][2] != till.undone[1][2]


async def test_a_payload_that_the_worker_does_not_take_is_a_letter_once_more_and_can_be_edited_again() -> (
    None
):
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        first = await only_letter(harness)
        await harness.client.dead_letters.edit(first, {"order": "1"}, reason="mistyped")
        await harness.until_idle()
        second = await only_letter(harness)
        letter = await harness.client.dead_letters.get(second)
        assert second != first
        assert (letter.reason, letter.run) == ("invalid_payload", "edittest_orders:1")
        await harness.client.dead_letters.edit(second, {"order": "1", "card": "4242"}, reason="now")
        assert await run.result() == Shipped(card="4242")
        assert till.keys[0][1] == till.keys[1][1]


@pytest.mark.parametrize("crash", ["receive", "begin", "handler", "commit"])
async def test_a_process_that_dies_with_an_edited_job_loses_nothing(crash: Any) -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        harness.crash("edittest.pay", after=crash)
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "1", "card": "4242"}, reason="mistyped"
        )
        assert await run.result() == Shipped(card="4242")
        assert {key for _, key in till.keys} == {till.keys[0][1]}


async def test_an_edited_job_is_held_by_a_paused_run_and_released_as_what_it_is() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        await run.pause("lunch")
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "1", "card": "4242"}, reason="mistyped"
        )
        await harness.until_idle()
        assert len(till.keys) == 1
        await run.resume()
        assert await run.result() == Shipped(card="4242")


async def test_retries_and_redrives_of_an_edited_job_are_still_that_job() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        run = await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        seen: list[tuple[int, str]] = []

        async def pay(ctx: Context, event: Ordered) -> Paid:
            seen.append((ctx.attempt, ctx.idempotency_key))
            if len(seen) == 1:
                raise Retry("once more", after=10)
            if len(seen) == 2:
                raise Reject("still no such card")
            return Paid(card=event.card)

        harness.replace("edittest.pay", pay)
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "2", "card": "4242"}, reason="mistyped"
        )
        await harness.advance(60)
        report = await harness.client.dead_letters.redrive(await only_letter(harness))
        assert report.done == 1
        assert await run.result() == Shipped(card="4242")
        assert seen == [(attempt, till.keys[0][1]) for attempt in (1, 2, 3)]


async def test_an_edited_job_that_the_broker_gives_up_dies_in_the_record_it_belongs_to() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        await harness.start(orders, Ordered(order="1", card="mistyped"))
        await harness.until_idle()
        harness.crash("edittest.pay", after="receive", times=2 * (DELIVERY_LIMIT + 1))
        await harness.client.dead_letters.edit(
            await only_letter(harness), {"order": "2", "card": "4242"}, reason="mistyped"
        )
        await harness.until_idle()
        letter = await harness.client.dead_letters.get(await only_letter(harness))
        assert (letter.reason, letter.run) == ("delivery_limit", "edittest_orders:1")
        assert letter.event is not None
        assert letter.event.payload == {"order": "2", "card": "4242"}


async def test_what_belongs_to_no_run_is_edited_in_its_own_record() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        await harness.emit(Noted(text="bad"))
        await harness.until_idle()
        await harness.client.dead_letters.edit(await only_letter(harness), {"text": "good"}, reason="typo")
        await harness.until_idle()
        assert [text for text, _ in till.keys] == ["bad", "good"]
        assert till.keys[0][1] == till.keys[1][1]


async def test_what_belongs_to_no_run_may_be_edited_twice_and_leaves_nothing_half_begun() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        await harness.emit(Noted(text="bad"))
        await harness.until_idle()
        await harness.client.dead_letters.edit(await only_letter(harness), {"txt": "good"}, reason="typo")
        await harness.until_idle()
        again = await only_letter(harness)
        assert (await harness.client.dead_letters.get(again)).reason == "invalid_payload"
        found = await harness.client.dead_letters._means.store.letter(again)
        assert found is not None
        assert [row.state for row in found.record.steps.values()] == ["dead", "dead"]
        await harness.client.dead_letters.edit(again, {"text": "good"}, reason="another typo")
        await harness.until_idle()
        assert [text for text, _ in till.keys] == ["bad", "good"]
        assert till.keys[0][1] == till.keys[1][1]


async def test_an_event_that_nobody_could_validate_starts_its_run_when_it_is_mended() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        row = EventRow(
            id="outside-1", name="edittest.ordered", version=1, time=1, payload=b'{"order":"7"}', producer="x"
        )
        queue = harness.client.dead_letters._means.names.queue("edittest", "pay")
        broker = harness.client.dead_letters._means.broker
        await broker.publish(Message(body=row.payload, headers=event_headers(row, "")), ToQueue(queue))
        await harness.until_idle()
        letter = await only_letter(harness)
        await harness.client.dead_letters.edit(letter, {"order": "7", "card": "4242"}, reason="was missing")
        await harness.until_idle()
        assert (await harness.client.run("edittest_orders:7").status()).status == "completed"
        assert await harness.client.dead_letters.list().all() == []


async def test_a_forged_header_runs_nothing() -> None:
    till = Till()
    async with Harness(till.app) as harness:
        await harness.start(orders, Ordered(order="1", card="4242"))
        await harness.until_idle()
        row = EventRow(
            id="forged",
            name="edittest.ordered",
            version=1,
            time=1,
            payload=b'{"order":"1","card":"forged"}',
            producer="x",
        )
        means = harness.client.dead_letters._means
        for record in ("edittest_orders:1", "edittest_orders:9", "~nothing", "no record"):
            message = Message(body=row.payload, headers=event_headers(row, "") | {EDITED: record})
            await means.broker.publish(message, ToQueue(means.names.queue("edittest", "pay")))
        await harness.until_idle()
        assert [card for card, _ in till.keys] == ["4242"]
        letters = await harness.client.dead_letters.list().all()
        assert {letter.reason for letter in letters} == {"undecodable", "unknown_run"}
        lines = [line.reason async for line in harness.client.run("edittest_orders:1").history()]
        assert "not_edited" in lines
