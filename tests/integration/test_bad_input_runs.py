"""Bad input to runs, on real servers: it is refused or set aside with its code, and other work goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from pavane import RunNotFound, RunStatus, TooLarge, UsageError
from pavane.runtime import copies
from tests.bad_input import runs, shop
from tests.bad_input.case import HANDLED
from tests.bad_input.messages import GOOD_BODY, LIMIT
from tests.bad_input.runs import BAD_RUN_IDS, RunId
from tests.bad_input.wire import HeaderValue, event_headers, message_properties
from tests.integration.bad_input_floor import Floor, eventually, open_floor
from tests.servers import RabbitServer, RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def floor(rabbit: RabbitServer, redis_server: RedisServer) -> AsyncIterator[Floor]:
    async with open_floor(rabbit.url, redis_server.url) as floor:
        yield floor


async def live_run(floor: Floor, order: str) -> str:
    """A run that has done its first step and waits for an event from outside."""
    handle = await floor.client.start(shop.orders, shop.Placed(order=order))

    async def reserved() -> bool:
        return (await handle.status()).steps.get("committed") == 1

    await eventually("its first step committed", reserved)
    return handle.run


async def throw(
    floor: Floor, queue: str, name: str, body: bytes, event_id: str = "", **more: HeaderValue
) -> str:
    event_id = event_id or str(uuid4())
    await floor.throw(queue, message_properties(event_headers(name, event_id, **more)), body)
    return event_id


async def status(floor: Floor, run: str) -> RunStatus:
    return await floor.client.run(run).status()


@pytest.mark.parametrize("case", BAD_RUN_IDS, ids=lambda case: case.what)
async def test_starting_a_run_with_such_an_id_is_refused(floor: Floor, case: RunId) -> None:
    with pytest.raises(UsageError) as refused:
        await floor.client.start(shop.orders, shop.Placed(order=case.run_id))
    assert refused.value.code == case.code
    assert refused.value.remedy
    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()
    await floor.goes_on()


@pytest.mark.parametrize("case", BAD_RUN_IDS, ids=lambda case: case.what)
async def test_a_starting_event_from_elsewhere_with_such_an_id_is_a_dead_letter(
    floor: Floor, case: RunId
) -> None:
    event = shop.Placed(order=case.run_id)
    body = event.model_dump_json().encode()
    event_id = await throw(floor, floor.queue("shop.reserve"), "bad.placed", body)
    letter = await floor.only_letter()
    assert (letter.reason, letter.worker, letter.run) == (case.code, "shop.reserve", None)
    assert letter.event is not None
    assert (letter.event.id, letter.event.payload) == (event_id, event.model_dump())
    assert await floor.body_in_queue(letter) == body
    await floor.goes_on()
    await floor.discard(letter)


@pytest.mark.parametrize("name", [f"bad_orders:{case.run_id}" for case in BAD_RUN_IDS] + ["", ":", "7"])
async def test_asking_for_such_a_run_is_refused_before_any_server_is_asked(floor: Floor, name: str) -> None:
    with pytest.raises(UsageError):
        floor.client.run(name)
    with pytest.raises(UsageError):
        await floor.client.emit(shop.Paid(order="x", amount=1), run=name)


@pytest.mark.fault("W14")
async def test_a_newer_version_goes_round_the_wheel_before_it_is_a_letter(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (copies.DEPLOY_PAUSE, copies.DEPLOY_WINDOW) == (15_000, 600_000)  # what the page says
    monkeypatch.setattr(copies, "DEPLOY_PAUSE", 1_000)
    monkeypatch.setattr(copies, "DEPLOY_WINDOW", 1_500)
    body = b'{"by": "a newer sender", "and": "more"}'
    event_id = await throw(floor, floor.queue("door.hear"), "bad.knocked", body, pavane_version=3)

    async def on_the_wheel() -> bool:
        counts = await floor.counts(*floor.wheel)
        return sum(counts) == 1

    await eventually("the message on the delay wheel", on_the_wheel)
    assert await floor.client.dead_letters.list().count() == 0
    letter = await floor.only_letter()
    assert (letter.reason, letter.attempts) == (runs.NEWER.code, [])
    assert "version 3 is not known here, only up to 2" in (letter.error or "")
    assert letter.event is not None
    assert letter.event.id == event_id
    assert shop.heard[event_id] == 0
    assert await floor.body_in_queue(letter) == body
    await floor.goes_on()
    await floor.discard(letter)


async def test_a_bad_payload_of_a_live_run_stalls_it_visibly(floor: Floor) -> None:
    run = await live_run(floor, "live")
    body = b'{"order": "live", "amount": "much"}'
    await throw(floor, floor.queue("shop.confirm"), "bad.paid", body, pavane_run=run)
    letter = await floor.only_letter()
    assert (letter.reason, letter.run) == (runs.OF_A_LIVE_RUN.code, run)
    found = await status(floor, run)
    assert (found.status, found.phase) == ("stalled", "running")
    assert [waiting.kind for waiting in found.waiting_for] == ["dead_letter"]
    assert await floor.body_in_queue(letter) == body
    await floor.goes_on()
    # The remedy: a good event ends the run.
    await floor.client.emit(shop.Paid(order="live", amount=1), run=run)
    assert (await floor.client.run(run).wait(20)).status == "completed"
    await floor.discard(letter)


async def test_two_workers_that_feed_each_other_are_stopped(floor: Floor) -> None:
    await floor.client.emit(shop.Pinged(number=0))
    letter = await floor.only_letter()
    assert (letter.reason, letter.error_type) == (runs.CYCLE.code, "LimitExceeded")
    assert "do two workers feed each other?" in (letter.error or "")
    assert letter.event is not None
    assert letter.event.payload == {"number": 64}
    await floor.goes_on()
    await floor.discard(letter)


@pytest.mark.parametrize("how", ["emit", "return"])
async def test_an_undeclared_event_is_rejected_and_never_sent(floor: Floor, how: str) -> None:
    await floor.client.emit(shop.Asked(how=how))
    letter = await floor.only_letter()
    assert (letter.reason, letter.worker) == (runs.UNDECLARED.code, "door.answer")
    assert letter.error_type == "UndeclaredEvent"
    assert "bad.not_declared" in (letter.error or "")
    assert [attempt.outcome for attempt in letter.attempts] == ["rejected"]
    await floor.goes_on()
    await floor.discard(letter)


@pytest.mark.fault("M3")
async def test_an_event_over_the_limit_is_refused_to_whoever_sends_it(floor: Floor) -> None:
    large = "x" * LIMIT
    for send in (
        lambda: floor.client.start(shop.orders, shop.Placed(order="large", note=large)),
        lambda: floor.client.emit(shop.Knocked(by=large)),
    ):
        with pytest.raises(TooLarge) as refused:
            await send()
        assert refused.value.code == runs.TOO_LARGE_CALL.code
        assert refused.value.remedy
    with pytest.raises(RunNotFound):
        await status(floor, "bad_orders:large")
    await floor.goes_on()


async def test_a_handler_that_emits_an_event_over_the_limit_is_rejected(floor: Floor) -> None:
    await floor.client.emit(shop.Grown(size=LIMIT))
    letter = await floor.only_letter()
    assert (letter.reason, letter.error_type) == (runs.TOO_LARGE_EMIT.code, "LimitExceeded")
    await floor.goes_on()
    await floor.discard(letter)


async def test_an_event_cannot_be_emitted_into_a_run_that_does_not_exist(floor: Floor) -> None:
    with pytest.raises(RunNotFound) as refused:
        await floor.client.emit(shop.Paid(order="x", amount=1), run="bad_orders:never_started")
    assert refused.value.code == runs.NO_SUCH_RUN.code
    assert refused.value.remedy
    await floor.goes_on()


@pytest.mark.fault("B13")
async def test_a_second_start_with_another_payload_keeps_the_first(floor: Floor) -> None:
    run = await live_run(floor, "twice")
    again = await floor.client.start(shop.orders, shop.Placed(order="twice", note="else"))
    assert (again.run, again.created) == (run, False)
    kinds = [line.kind for line in await again.history().all()]
    assert runs.SECOND_START.code == HANDLED
    assert kinds.count("conflict") == 1
    await floor.goes_on()


async def test_a_starting_event_cannot_claim_another_run(floor: Floor) -> None:
    other = await live_run(floor, "other")
    before = await status(floor, other)
    body = shop.Placed(order="mine").model_dump_json().encode()
    await throw(floor, floor.queue("shop.reserve"), "bad.placed", body, pavane_run=other)

    async def started() -> bool:
        runs_there = await floor.client.runs(workflow="bad_orders").all()
        return any(run.run_id == "mine" and run.steps == {"committed": 1} for run in runs_there)

    assert runs.FORGED_START.code == HANDLED
    await eventually("a run of its own", started)
    assert await status(floor, other) == before
    await floor.goes_on()


async def test_an_undo_that_nobody_asked_for_is_not_carried_out(floor: Floor) -> None:
    run = await live_run(floor, "forged")
    [step] = await floor.client.run(run).steps(worker="shop.reserve").all()
    for queue in (floor.names.undo_queue("shop", "reserve"), floor.queue("shop.reserve")):
        await throw(
            floor, queue, "bad.placed", b"{}", pavane_run=run, pavane_kind="undo", pavane_step=step.step_id
        )
        await floor.goes_on()
    found = await status(floor, run)
    assert (found.phase, found.steps, shop.undone) == ("running", {"committed": 1}, [])
    assert await floor.client.dead_letters.list().count() == 0


async def test_garbage_in_the_undo_queue_is_a_letter(floor: Floor) -> None:
    await floor.throw(floor.names.undo_queue("shop", "reserve"), message_properties({}), b"\xff garbage")
    letter = await floor.only_letter()
    assert (letter.reason, letter.worker) == (runs.UNDO_GARBAGE.code, "shop.reserve")
    assert await floor.body_in_queue(letter) == b"\xff garbage"
    await floor.goes_on()
    await floor.discard(letter)


async def test_garbage_in_an_intake_is_parked(floor: Floor) -> None:
    assert runs.INTAKE_GARBAGE.code == "parked"
    await floor.throw(floor.names.intake("shop"), message_properties({}), GOOD_BODY)

    async def parked() -> bool:
        return await floor.counts(floor.names.parked) == [1]

    await eventually("the message parked", parked)
    await floor.take(floor.names.parked, GOOD_BODY)
    await floor.goes_on()
