"""Workers with `.rate_limit`: when their handlers begin, and that nothing else changes for a job that waits."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from pavane import App, Context, Event, Reject, Service, Settings, Workflow
from pavane.runtime import copies
from pavane.testing import Harness


class Asked(Event, name="limit.asked"):
    number: int
    customer: str = "buyer-1"


class Answered(Event, name="limit.answered"):
    number: int


questions = Workflow(
    "questions", starts_with=Asked, run_id=lambda asked: str(asked.number), completes_with=[Answered]
)


def limited(**limit: Any) -> App:
    desk = Service("desk")

    @desk.queue_worker("answer").timeout(10).rate_limit(**limit)
    async def answer(ctx: Context, asked: Asked) -> Answered:
        return Answered(number=asked.number)

    return App(services=[desk], workflows=[questions])


async def begun(harness: Harness) -> list[float]:
    """Seconds from the first handler to each, in order."""
    calls = sorted(call.started_at for call in harness.calls("desk.answer"))
    return [round((at - calls[0]).total_seconds(), 3) for at in calls]


async def ask(harness: Harness, count: int, customers: int = 1) -> None:
    for number in range(count):
        await harness.start(questions, Asked(number=number, customer=f"buyer-{number % customers}"))
    for number in range(count):
        await harness.run(questions, str(number)).result()


async def test_a_burst_begins_at_once_and_the_rest_evenly_with_one_attempt_each() -> None:
    async with Harness(limited(count=2, per=1)) as harness:
        await ask(harness, 6)
        times = await begun(harness)
        assert times[:2] == [0, 0]
        for turn, at in enumerate(times[2:], 1):
            assert 0.5 * turn <= at <= 0.5 * turn + 0.25, times
        for number in range(6):
            [step] = await harness.run(questions, str(number)).steps().all()
            assert (step.status, step.attempt) == ("committed", 1)


async def test_more_than_fit_into_the_process_wait_in_the_queue() -> None:
    async with Harness(limited(count=1, per=10)) as harness:
        await ask(harness, 40)
        times = await begun(harness)
        assert times[-1] >= 390
        assert all(later - earlier >= 9.99 for earlier, later in pairwise(times))


async def test_who_has_another_key_need_not_wait() -> None:
    limit = {"count": 1, "per": 60, "key": lambda asked: asked.customer}
    async with Harness(limited(**limit)) as harness:
        await ask(harness, 6, customers=3)
        times = await begun(harness)
        assert times[:3] == [0, 0, 0]
        assert all(60 <= at <= 60.5 for at in times[3:]), times


async def test_a_redelivery_of_what_is_done_takes_no_turn() -> None:
    async with Harness(limited(count=1, per=3600, burst=2)) as harness:
        harness.duplicate(Asked)
        await ask(harness, 2)
        assert await begun(harness) == [0, 0]


@pytest.mark.parametrize("key", [None, lambda asked: asked.customer], ids=["one limit", "a limit for each"])
async def test_a_redelivery_of_what_is_done_waits_for_no_turn(
    key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_again, waits = copies.send_again, list[int]()

    async def send_again(crew: Any, delivery: Any, generation: int, wait: int) -> None:
        waits.append(wait)
        await sent_again(crew, delivery, generation, wait)

    monkeypatch.setattr(copies, "send_again", send_again)
    async with Harness(limited(count=1, per=3600, burst=1, key=key)) as harness:
        harness.crash("desk.answer", after="commit")
        run = await harness.start(questions, Asked(number=1))
        await harness.advance(60)
        assert (await run.status()).status == "completed"
        assert await begun(harness) == [0]
        assert (waits, held(harness)) == ([], 0)


def held(harness: Harness) -> int:
    """Deliveries that nobody has settled."""
    queues: Any = harness._broker._queues.values()
    return sum(len(one.unsettled) for queue in queues for one in queue.subscriptions)


async def test_workers_share_the_limit_of_a_name() -> None:
    one, other = Service("one"), Service("other")

    @one.queue_worker("call").timeout(10).rate_limit(1, per=60, name="gateway")
    async def first(ctx: Context, asked: Asked) -> None: ...

    @other.queue_worker("call").timeout(10).rate_limit(1, per=60, name="gateway")
    async def second(ctx: Context, asked: Asked) -> Answered:
        return Answered(number=asked.number)

    async with Harness(App(services=[one, other], workflows=[questions])) as harness:
        run = await harness.start(questions, Asked(number=1))
        await harness.until_idle()
        assert len([*harness.calls("one.call"), *harness.calls("other.call")]) == 1
        await run.result()
        await harness.advance(60)
        assert len([*harness.calls("one.call"), *harness.calls("other.call")]) == 2


@pytest.mark.parametrize("wrong", [lambda asked: 1 / 0, lambda asked: 7], ids=["raises", "no text"])
async def test_a_key_that_cannot_be_computed_is_a_dead_letter_that_says_so(wrong: Any) -> None:
    async with Harness(limited(count=1, key=wrong)) as harness:
        await harness.start(questions, Asked(number=1))
        await harness.until_idle()
        [letter] = await harness.client.dead_letters.list().all()
        assert "key of desk.answer's rate limit" in str(letter.error)
        assert not harness.calls("desk.answer")


async def test_a_job_whose_process_dies_gets_a_turn_elsewhere() -> None:
    async with Harness(limited(count=1, per=30)) as harness:
        for number in range(2):
            await harness.start(questions, Asked(number=number))
        await harness.until_idle()
        harness.crash("desk.answer", after="receive")
        await harness.start(questions, Asked(number=2))
        for number in range(3):
            await harness.run(questions, str(number)).result()
        times = await begun(harness)
        assert times[1] >= 30
        assert times[2] >= 60


async def test_a_rejected_job_has_used_its_turn() -> None:
    async with Harness(limited(count=1, per=60)) as harness:
        harness.fail("desk.answer", Reject("no"))
        await harness.start(questions, Asked(number=1))
        await harness.until_idle()
        run = await harness.start(questions, Asked(number=2))
        await run.result()
        assert (await begun(harness))[-1] >= 60


async def test_a_job_that_waits_for_its_turn_keeps_no_process_from_stopping() -> None:
    """Its grace period is for handlers."""
    app, loop = limited(count=1, per=3600), asyncio.get_running_loop()
    async with app.running(Settings(grace_period=60), embedded=True) as client:
        for number in range(2):
            await client.start(questions, Asked(number=number))
        await client.run(questions, "0").wait(10)
        began = loop.time()
    assert loop.time() - began < 30
