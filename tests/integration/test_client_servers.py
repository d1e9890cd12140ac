"""The client on real servers: what the pair in memory cannot show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pavane import (
    App,
    BrokerUnavailable,
    Client,
    Context,
    Event,
    Reject,
    Service,
    Settings,
    StateUnavailable,
    Workflow,
)
from pavane.core.topology import Names
from tests.servers import RabbitServer, RedisServer


class Asked(Event, name="clientit.asked"):
    number: int


class Answered(Event, name="clientit.answered"):
    number: int


asking = Workflow(
    "asking", starts_with=Asked, run_id=lambda event: str(event.number), completes_with=[Answered]
)


class Shop:
    """One worker that rejects the numbers in `broken`."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.answered: list[int] = []
        service: Service[None] = Service("clientit")

        async def answer(ctx: Context, event: Asked) -> Answered:
            if event.number in self.broken:
                raise Reject(f"broken {event.number % 2}")
            self.answered.append(event.number)
            return Answered(number=event.number)

        service.queue_worker("answer").handler(answer)
        self.app = App(services=[service], workflows=[asking])


@pytest.fixture
def settings(rabbit: RabbitServer, redis_server: RedisServer, namespace: str) -> Settings:
    return Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace, actor="tester")


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def client(settings: Settings, shop: Shop) -> AsyncIterator[Client]:
    async with shop.app.running(settings) as client:
        yield client


async def wait_for_letters(client: Client, settings: Settings, count: int, worker: str = "answer") -> None:
    """Until so many are in the index and in the queue: the one comes before the other."""
    async with asyncio.timeout(20):
        while True:
            indexed = await client.dead_letters.list().count()
            if indexed == count == await queued(client, settings, worker):
                return
            await asyncio.sleep(0.02)


async def queued(client: Client, settings: Settings, worker: str = "answer") -> int:
    """Letters in the dead-letter queue."""
    names = Names(settings.namespace)
    means = client._means
    assert means is not None
    [count] = await means.broker.count([names.dead_letter_queue("clientit", worker)])
    assert count is not None
    return count.ready


async def test_a_client_of_its_own_starts_and_waits(client: Client, settings: Settings) -> None:
    async with Client(settings) as other:
        handle = await other.start(asking, Asked(number=1))
        assert await handle.result(20) == Answered(number=1)
        assert [step.status async for step in handle.steps()] == ["committed"]
        assert (await other.runs().all())[0].run == "asking:1"


@pytest.mark.fault("L3")
async def test_a_redrive_in_two_passes_loses_none_and_repeats_none(
    client: Client, settings: Settings, shop: Shop
) -> None:
    numbers = list(range(12))
    shop.broken = set(numbers)
    for number in numbers:
        await client.start(asking, Asked(number=number))
    await wait_for_letters(client, settings, 12)
    shop.broken.clear()
    odd = await client.dead_letters.redrive(error="broken 1")
    assert (odd.matched, odd.done) == (6, 6)
    assert await queued(client, settings) == 6
    rest = await client.dead_letters.redrive(everything=True, reason="mended")
    assert (rest.matched, rest.done) == (6, 6)
    for number in numbers:
        assert await client.run(asking, str(number)).result(20) == Answered(number=number)
    assert sorted(shop.answered) == numbers
    assert await queued(client, settings) == 0
    assert await client.dead_letters.list().count() == 0


@pytest.mark.fault("L3")
async def test_twenty_five_passes_wear_out_no_letter(client: Client, settings: Settings, shop: Shop) -> None:
    shop.broken = {1, 2}
    for number in (1, 2):
        await client.start(asking, Asked(number=number))
    await wait_for_letters(client, settings, 2)
    [first, second] = await client.dead_letters.list().all()
    for _ in range(25):
        report = await client.dead_letters.discard(first.id, second.id)
        assert {one.reason for one in report.skipped} == {"run_is_live"}
    assert await queued(client, settings) == 2
    shop.broken.clear()
    assert (await client.dead_letters.redrive(everything=True)).done == 2
    for number in (1, 2):
        await client.run(asking, str(number)).result(20)


@pytest.mark.fault("L3")
async def test_two_passes_at_the_same_time_redrive_each_letter_once(
    client: Client, settings: Settings, shop: Shop
) -> None:
    shop.broken = set(range(8))
    for number in range(8):
        await client.start(asking, Asked(number=number))
    await wait_for_letters(client, settings, 8)
    shop.broken.clear()
    reports = await asyncio.gather(*(client.dead_letters.redrive(everything=True) for _ in range(2)))
    assert sorted(report.done for report in reports) == [0, 8]
    for number in range(8):
        await client.run(asking, str(number)).result(20)
    assert sorted(shop.answered) == list(range(8))


async def test_a_job_outside_runs_is_redriven_too(client: Client, settings: Settings) -> None:
    broken = True
    done = asyncio.Event()
    service: Service[None] = Service("clientit")

    async def note(ctx: Context, event: Answered) -> None:
        if broken:
            raise Reject("broken")
        done.set()

    service.queue_worker("note").handler(note)
    async with App(services=[service]).running(settings) as own:
        await own.emit(Answered(number=1))
        await wait_for_letters(own, settings, 1, "note")
        [letter] = await own.dead_letters.list().all()
        assert (letter.run, letter.workflow, letter.worker) == (None, None, "clientit.note")
        broken = False
        assert (await own.dead_letters.redrive(letter.id)).done == 1
        async with asyncio.timeout(20):
            await done.wait()


async def test_servers_that_do_not_answer_are_named(settings: Settings) -> None:
    nowhere = {"broker_url": "amqp://guest:guest@127.0.0.1:1/", "state_url": "redis://127.0.0.1:1/0"}
    with pytest.raises(BrokerUnavailable):
        async with Client(settings.model_copy(update={"broker_url": nowhere["broker_url"]})):
            raise AssertionError
    with pytest.raises(StateUnavailable):
        async with Client(settings.model_copy(update={"state_url": nowhere["state_url"]})):
            raise AssertionError
