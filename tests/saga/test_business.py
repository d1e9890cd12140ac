"""Technical failure is an exception, business failure an event; and choreography by hand stays possible."""

from __future__ import annotations

import logging

import pytest

from pavane import App, Context, Event, Service, Workflow
from tests.saga.line import LEASE
from tests.saga.scene import SetUp


class Ordered(Event, name="business.ordered"):
    key: str


class Reserved(Event, name="business.reserved"):
    key: str


class Paid(Event, name="business.paid"):
    key: str


class PaymentFailed(Event, name="business.payment_failed"):
    key: str
    why: str


buying = Workflow(
    "buying",
    starts_with=Ordered,
    run_id=lambda event: event.key,
    completes_with=[Paid],
    fails_with=[PaymentFailed],
)


class Bank:
    """A shop whose bank is away: what its workers did, in order."""

    def __init__(self, *, answered: bool) -> None:
        self.done: list[str] = []
        shop = Service("shop")

        @shop.queue_worker("reserve").lease(LEASE)
        async def reserve(ctx: Context, event: Ordered) -> Reserved:
            self.done.append("reserve")
            return Reserved(key=event.key)

        charging = (
            shop.queue_worker("charge")
            .lease(LEASE)
            .retry(max_attempts=2, initial_delay=0.25, jitter_mode="none")
            .emits(Paid, PaymentFailed)
        )
        if answered:
            charging = charging.on_exhausted(
                lambda event, failure: PaymentFailed(
                    key=event.key, why=f"{failure.error_type}, {failure.attempts}"
                )
            )

        @charging
        async def charge(ctx: Context, event: Reserved) -> Paid:
            self.done.append("charge")
            if not answered:
                ctx.emit(PaymentFailed(key=event.key, why="emitted, then raised"))
            raise ConnectionError("the bank is away")

        @shop.queue_worker("give_back").lease(LEASE)
        async def give_back(ctx: Context, event: PaymentFailed) -> None:
            self.done.append(f"give back: {event.why}")

        self.app = App(services=[shop], workflows=[buying])


async def test_what_a_failed_attempt_emitted_is_withheld_and_said_so(
    set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank(answered=False)
    async with set_up(bank.app) as scene:
        run = await scene.client.start(buying, Ordered(key="k"))
        await scene.until_status(run, "stalled")
        assert bank.done == ["reserve", "charge", "charge"]
        record = await scene.record(run)
        assert PaymentFailed.event_name not in {event.name for event in record.events.values()}
        assert (record.head.phase, record.outbox) == ("running", {})
        warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
        [first, second] = [text for text in warnings if "withheld" in text]
        assert first == second
        for name in ("PaymentFailed", "shop.charge", "on_exhausted", "ConnectionError"):
            assert name in first


async def test_a_failure_that_says_nothing_is_not_warned_of(
    set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    bank = Bank(answered=True)
    async with set_up(bank.app) as scene:
        run = await scene.client.start(buying, Ordered(key="k"))
        await scene.until_status(run, "failed")
        assert not [one for one in caplog.records if "withheld" in one.getMessage()]


async def test_a_dead_job_answered_by_an_event_fails_its_run_once(set_up: SetUp) -> None:
    bank = Bank(answered=True)
    async with set_up(bank.app) as scene:
        scene.faults.crash("shop.charge", after="fail")
        scene.faults.crash("shop.charge", after="dead_published")
        run = await scene.client.start(buying, Ordered(key="k"))
        await scene.until_status(run, "failed")
        await scene.until_row(run, "shop.give_back", "committed")
        assert (await run.status()).reason == PaymentFailed.event_name
        [letter] = await scene.client.dead_letters.list(run=run.run).all()
        assert (letter.answered, letter.worker, letter.reason) == (True, "shop.charge", "attempts")
        assert await scene.client.dead_letters.list(answered=False).count() == 0
        fired = [
            one for one in (await scene.record(run)).events.values() if one.name == PaymentFailed.event_name
        ]
        assert len(fired) == 1
        row = await scene.known(run, "shop.give_back")
        assert [one.outcome for one in row.work.attempts].count("committed") == 1
        assert {what for what in bank.done if what.startswith("give back")} == {
            "give back: ConnectionError, 2"
        }
        report = await scene.client.dead_letters.redrive(run=run.run)
        assert report.done == 0, "nobody is asked to redrive it"


async def test_choreography_by_hand_is_in_the_record(set_up: SetUp) -> None:
    bank = Bank(answered=True)
    async with set_up(bank.app) as scene:
        run = await scene.client.start(buying, Ordered(key="k"))
        await scene.until_status(run, "failed")
        await scene.until_row(run, "shop.give_back", "committed")
        [step] = await run.steps(worker="shop.give_back").all()
        assert step.closing
        assert step.event is not None
        assert step.event.name == PaymentFailed.event_name
        assert step.undo is None
        lines = await run.history().all()
        assert [one.kind for one in lines if one.worker == "shop.give_back"] == [
            "step_started",
            "step_committed",
        ]
        assert (await run.status()).status == "failed", "pavane itself had nothing to undo"
