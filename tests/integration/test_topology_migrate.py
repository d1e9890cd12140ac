"""`topology migrate`: a queue is replaced under its service, and nothing is lost, nor handled twice."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiormq import connect as connect_aiormq
from aiormq.abc import DeliveredMessage
from yarl import URL

from pavane import Client, Settings
from pavane.adapters.rabbitmq import RabbitMQBroker, migration
from pavane.adapters.rabbitmq.connection import Link
from pavane.adapters.rabbitmq.content import Deliveries
from pavane.adapters.rabbitmq.unchanged import CONTENT, parts_of, read_unchanged
from pavane.client.connection import close_pair, connect, open_pair
from pavane.client.means import Means
from pavane.client.migration import interrupted, migrate
from pavane.core.migration import is_movable
from pavane.core.topology import LEVELS, Names, Topology, WorkerTopology, queues_of
from pavane.errors import TopologyMismatch
from pavane.ports.broker import Broker, Message, QueueCount, TopologyChange, ToQueue
from pavane.runtime.clock import SystemClock
from tests.crash.ledger import VARIABLE, Ledger
from tests.crash.stage import eventually
from tests.crash.workers import ROOT, WorkerProcess
from tests.integration.cli_runner import Done, Pavane
from tests.integration.moving_shop import Given, Refused, app
from tests.integration.other_version import limited_to
from tests.integration.raw_amqp import HEADERS, HOSTILE, RawPublisher, entry, properties, table, text
from tests.servers import RabbitServer, RedisServer

APP = "tests.integration.moving_shop:app"
OLD_LIMIT = "10"
RATE = 200
"""Jobs a second while a queue is replaced."""


@dataclass
class Shop:
    """The service `moving` in a namespace of its own, in processes of an earlier version."""

    environment: dict[str, str]
    means: Means
    client: Client
    ledger: Ledger
    given: list[int] = field(default_factory=list)

    @property
    def broker(self) -> Broker:
        return self.means.broker

    @property
    def topology(self) -> Topology:
        return app.catalog(Settings(namespace=self.environment["PAVANE_NAMESPACE"])).topology()

    @property
    def names(self) -> Names:
        return self.topology.names

    @property
    def pavane(self) -> Pavane:
        return Pavane.on(**self.environment)

    @property
    def jobs(self) -> str:
        return self.names.queue("moving", "take")

    @property
    def letters(self) -> str:
        return self.names.dead_letter_queue("moving", "refuse")

    def process(self) -> WorkerProcess:
        environment = self.environment | {"PAVANE_TEST_LIMIT": OLD_LIMIT}
        return WorkerProcess(environment, "run", APP, module="tests.integration.other_version")

    async def command(self, *words: str, **variables: str) -> Done:
        """Give a command in a process of its own; `variables` are `PAVANE_TEST_*`, in lower case."""
        extra = {f"PAVANE_TEST_{name.upper()}": value for name, value in variables.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.other_version",
            *words,
            cwd=ROOT,
            env=self.pavane.environment | extra,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 90)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    async def migrate(self, queue: str, **variables: str) -> Done:
        return await self.command("topology", "migrate", queue, APP, "--yes", "--json", **variables)

    async def carry_on(self) -> None:
        """What the command does, here."""
        await migrate(self.means, self.topology, self.jobs, lambda count: None)

    async def began(self, worker: str, number: int) -> bool:
        return len(self.ledger.starts(worker)) >= number

    async def give(self, rate: int, enough: asyncio.Event) -> None:
        """Give so many jobs a second until it is enough; one in fifty takes a second."""
        while not enough.is_set():
            began = time.monotonic()
            numbers = range(len(self.given), len(self.given) + rate // 10)
            self.given += numbers
            await asyncio.gather(
                *(self.client.emit(Given(number=n, seconds=1.0 if n % 50 == 7 else 0.0)) for n in numbers)
            )
            await asyncio.sleep(max(0.0, began + 0.1 - time.monotonic()))

    async def waits(self, queue: str, number: int) -> bool:
        [count] = await self.broker.count([queue])
        return count is not None and count.ready == number

    async def exists(self, queue: str) -> bool:
        return await self.broker.count([queue]) != [None]

    async def took(self, worker: str, number: int) -> bool:
        return len(self.ledger.ends(worker)) >= number

    async def has_given(self, number: int) -> bool:
        return len(self.given) >= number

    async def all_was_taken_once(self) -> None:
        """Wait until each job was handled, and nothing is left anywhere; then look whether one was twice."""

        given = len(self.given)
        await eventually(f"{given} jobs handled", lambda: self.took("moving.take", given), within=60)
        # Copies of what ran while it was moved come back when its lease has ended.
        await eventually("all queues empty", self.nothing_waits, within=30)
        starts = Counter(entry.key for entry in self.ledger.starts("moving.take"))
        assert len(starts) == len(self.given)
        assert [key for key, times in starts.items() if times > 1] == []
        assert len(self.ledger.ends("moving.take")) == len(self.given)

    async def nothing_waits(self) -> bool:
        wheel = [self.names.level("moving", level) for level in range(LEVELS)]
        counts = await self.broker.count([*queues_of(self.topology), *wheel])
        return not any(count.ready for count in counts if count)

    async def planned(self) -> dict[str, Any]:
        """What differs from what this version wants, by name."""
        changes = (await self.command("topology", "plan", APP, "--json")).document["changes"]
        return {change["name"]: change for change in changes}

    def take_all(self) -> None:
        """From now on nothing is refused."""
        Path(f"{self.ledger.path}.takes").touch()

    def changes(self, done: Done) -> list[tuple[str, str]]:
        """What was done with queues, the names without the namespace."""
        assert done.code == 0, done
        document = json.loads(done.out)
        assert document["clean"] is True
        prefix = self.environment["PAVANE_NAMESPACE"] + "."
        return [
            (change["action"], change["name"].removeprefix(prefix))
            for change in document["changes"]
            if change["kind"] == "queue"
        ]


@pytest.fixture
async def shop(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str, tmp_path: Path
) -> AsyncIterator[Shop]:
    ledger = Ledger(tmp_path / "ledger")
    environment = {
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_server.url,
        "PAVANE_NAMESPACE": namespace,
        "PAVANE_SHARDS": "2",
        VARIABLE: str(ledger.path),
    }
    settings = Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace, shards=2)
    store, broker = connect(settings)
    await open_pair(store, broker)
    try:
        async with Client.over(store, broker, settings=settings, clock=SystemClock()) as client:
            yield Shop(environment, Means(store, broker, settings, SystemClock()), client, ledger)
    finally:
        await close_pair(store, broker)


@asynccontextmanager
async def two_processes(shop: Shop) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for process in [shop.process(), shop.process()]:
            await stack.enter_async_context(process)
        yield


@asynccontextmanager
async def load_on(shop: Shop, *, rate: int = RATE) -> AsyncIterator[None]:
    """Work for the processes, from a second before until a second after."""
    enough = asyncio.Event()
    load = asyncio.create_task(shop.give(rate, enough))
    try:
        await eventually("work under way", lambda: shop.has_given(rate))
        yield
        given = len(shop.given)
        await eventually("work still coming", lambda: shop.has_given(given + rate))
    finally:
        enough.set()
        await load


async def test_a_workers_queue_is_replaced_under_load(shop: Shop) -> None:
    async with two_processes(shop):
        mismatch = (await shop.planned())[shop.jobs]
        assert (mismatch["current"], mismatch["wanted"]) == (OLD_LIMIT, "20")
        assert f"pavane topology migrate {shop.jobs}" in mismatch["remedy"]
        async with load_on(shop):
            done = await shop.migrate(shop.jobs)
        assert shop.changes(done) == [
            ("create", "q.moving.take.moved"),
            ("delete", "q.moving.take"),
            ("create", "q.moving.take"),
            ("delete", "q.moving.take.moved"),
        ]
        await shop.all_was_taken_once()
    assert shop.jobs not in await shop.planned()
    assert shop.changes(await shop.migrate(shop.jobs)) == []


STEPS = (
    "create:take.moved",
    "bind:take.moved",
    "unbind:take",
    "delete:take",
    "create:take",
    "unbind:take.moved",
)


@pytest.mark.timeout(180)
async def test_killed_after_any_step_it_is_carried_on_and_nothing_is_lost(shop: Shop) -> None:
    async with two_processes(shop):
        async with load_on(shop, rate=50):
            for limit, step in enumerate(STEPS, 100):  # each time another is wanted: it begins anew
                killed = await shop.command("replace", shop.jobs, dies=step, limit=str(limit))
                assert killed.code == -signal.SIGKILL, (step, killed)
                with limited_to(limit):
                    left = await interrupted(shop.broker, shop.topology)
                    assert [change.name for change in left] == [f"{shop.jobs}.moved"]
                    await shop.carry_on()
                    assert await interrupted(shop.broker, shop.topology) == []
                    planned = await shop.broker.plan(shop.topology)
                    assert shop.jobs not in [change.name for change in planned]
        await shop.all_was_taken_once()


async def test_a_job_in_hand_is_waited_for_and_not_lost_with_its_process(shop: Shop) -> None:
    async with shop.process() as first:
        shop.given.append(0)
        await shop.client.emit(Given(number=0, seconds=60.0))
        await eventually("the job has begun", lambda: shop.began("moving.take", 1))
        migration = asyncio.create_task(shop.carry_on())
        await first.says("is being replaced: consuming")
        # The process takes from the interim, and still has the job of the old queue, which stays for that.
        await shop.client.emit(Given(number=1))
        await eventually("another job handled", lambda: shop.took("moving.take", 1))
        assert not migration.done()
        assert await shop.exists(shop.jobs)
        await first.kill()
        await migration
        left = await shop.broker.get(shop.jobs)
        assert left is not None
        assert left.delivery_count == 0, "it has not come back to this queue"
        assert Given.model_validate_json(left.message.body).number == 0


async def test_letters_moved_by_one_that_was_killed_are_redriven_once_each(shop: Shop) -> None:
    async with shop.process():
        for n in range(150):
            await shop.client.emit(Refused(number=n))
        await eventually("150 letters", lambda: shop.waits(shop.letters, 150))
        for when in ("taking", "moving"):
            killed = await shop.migrate(shop.letters, dies=when, letters="600", limit=OLD_LIMIT)
            assert killed.code == -signal.SIGKILL, killed
        done = await shop.migrate(shop.letters, letters="600", limit=OLD_LIMIT)
        assert ("delete", "dlq.moving.refuse") in shop.changes(done)
        shop.take_all()
        redriven = await shop.command("dlq", "redrive", "--worker", "moving.refuse", "--yes", "--json")
        assert (redriven.code, redriven.document["done"]) == (0, 150), redriven
        await eventually("150 jobs handled", lambda: shop.took("moving.refuse", 150))
        await eventually("all queues empty", shop.nothing_waits)
        keys = Counter(entry.key for entry in shop.ledger.starts("moving.refuse"))
        assert (len(keys), set(keys.values())) == (150, {1})


async def test_of_two_migrations_at_once_one_is_told(shop: Shop) -> None:
    with limited_to(int(OLD_LIMIT)):
        await shop.broker.declare(shop.topology)
    await shop.broker.publish(Message(b"{}"), ToQueue(shop.jobs))
    delivery = await shop.broker.get(shop.jobs)
    assert delivery is not None
    first = asyncio.create_task(shop.migrate(shop.jobs))  # waits for what is in hand
    await eventually("the first has begun", lambda: shop.exists(f"{shop.jobs}.moved"))
    second = await shop.migrate(shop.jobs)
    assert (second.code, second.error["code"]) == (5, "topology_mismatch")
    assert "replaced by somebody else" in second.error["message"]
    assert not first.done()
    delivery.ack()
    assert ("delete", "q.moving.take") in shop.changes(await first)
    lock = await shop.means.store.claim(f"dlq/{shop.letters}", "a pass through the letters", 30_000)
    assert lock
    with pytest.raises(TopologyMismatch, match="pass through dead letters"):
        await migrate(shop.means, shop.topology, shop.letters, lambda count: None)


async def test_what_is_in_queues_of_any_kind_is_moved_as_it_is(rabbit: RabbitServer, namespace: str) -> None:
    topology = Topology(namespace, (WorkerTopology("shop", "sell", ("it.happened",), undo=True),))
    names = topology.names
    queues = [queue for queue in queues_of(topology) if is_movable(queue)]
    assert len(queues) == 5
    sent = [*(hostile for hostile, _ in HOSTILE.values()), DEAD]
    many = [properties(HEADERS, table(entry(b"n", b"I", struct.pack(">I", n)))) for n in range(110)]
    broker = RabbitMQBroker(rabbit.url, namespace=namespace)
    await broker.open()
    try:
        with limited_to(int(OLD_LIMIT)):
            await broker.declare(topology)
        for queue in queues:
            if queue == names.dead_letter_queue("shop", "sell"):
                sent = [*sent, *many]
            await asyncio.to_thread(send, rabbit.url, queue, sent)
            done = await collect(broker.migrate(queue, topology))
            assert TopologyChange("delete", "queue", queue) in done
            found = await contents(rabbit.url, queue, len(sent))
            assert [as_sent(content) for content in found] == [as_sent(bytes(12) + one) for one in sent]
    finally:
        await broker.close()


DEAD = properties(
    HEADERS,
    table(
        entry(
            b"x-death",
            b"A",
            table(
                b"F"
                + table(
                    entry(b"reason", b"S", text(b"delivery_limit")),
                    entry(b"queue", b"S", text(b"ns.q.shop.sell.moved")),
                )
            ),
        )
    ),
)
"""What RabbitMQ writes into a message that it dead-letters."""


def send(url: str, queue: str, messages: list[bytes]) -> None:
    with RawPublisher(url) as publisher:
        for message in messages:
            publisher.publish("", queue, message, b"kept")


async def contents(url: str, queue: str, number: int) -> list[bytes]:
    """The header frames of what is in a queue."""
    link = Link([URL(url)], name="looks", heartbeat=10)
    await link.open()
    try:
        found: list[bytes] = []
        channel, tap = await link.tapped_channel()
        tap.serve(
            channel.number,
            Deliveries(lambda tag, read, body: found.append(read[CONTENT]), read_unchanged),
        )
        await channel.basic_consume(queue, nobody)
        await eventually(f"{number} messages", lambda: has(found, number))
        return found
    finally:
        await link.close()


async def has(found: list[bytes], number: int) -> bool:
    return len(found) >= number


async def nobody(delivered: DeliveredMessage) -> None:
    raise AssertionError("it was not taken")


def as_sent(content: bytes) -> dict[str, bytes]:
    """The properties, as bytes, without the one that is the publisher's own."""
    return {name: value for name, value in parts_of(content).items() if name != "message_id"}


async def test_a_queue_that_is_declared_again_as_it_was_is_replaced_again(
    rabbit: RabbitServer, namespace: str
) -> None:
    topology = Topology(namespace, (WorkerTopology("shop", "sell", ("it.happened",)),))
    queue = topology.names.queue("shop", "sell")
    deleted = TopologyChange("delete", "queue", queue)
    broker = RabbitMQBroker(rabbit.url, namespace=namespace)
    await broker.open()
    try:
        with limited_to(int(OLD_LIMIT)):
            await broker.declare(topology)
        done: list[TopologyChange | QueueCount] = []
        async for step in broker.migrate(queue, topology):
            if step == deleted and deleted not in done:
                with limited_to(int(OLD_LIMIT)):
                    await broker.declare(topology)
                await broker.publish(Message(b"job"), ToQueue(queue))
            done.append(step)
        assert done.count(deleted) == 2
        assert queue not in [change.name for change in await broker.plan(topology)]
        # Both queues were reached then.
        assert await broker.count([queue, f"{queue}.moved"]) == [QueueCount(queue, 2, 0), None]
    finally:
        await broker.close()


async def test_consumers_that_know_nothing_of_it_are_named_and_lose_nothing(
    rabbit: RabbitServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "MARKERS_LOST", 2)
    topology = Topology(namespace, (WorkerTopology("shop", "sell", ("it.happened",)),))
    queue = topology.names.queue("shop", "sell")
    broker = RabbitMQBroker(rabbit.url, namespace=namespace)
    await broker.open()
    connection = await connect_aiormq(rabbit.url)
    try:
        with limited_to(int(OLD_LIMIT)):
            await broker.declare(topology)
        channel = await connection.channel()
        got: list[bytes] = []

        async def take(message: DeliveredMessage) -> None:
            got.append(message.body)
            await channel.basic_ack(message.delivery_tag or 0)

        await channel.basic_consume(queue, take)
        with pytest.raises(TopologyMismatch, match=r"1 consumers of .* do not leave it") as refusal:
            await collect(broker.migrate(queue, topology))
        assert "stop them, then call again" in refusal.value.remedy
        await broker.publish(Message(b"job"), ToQueue(queue))
        assert await broker.count([f"{queue}.moved"]) == [QueueCount(f"{queue}.moved", 1, 0)]
        assert b"job" not in got
    finally:
        await connection.close()
    await collect(broker.migrate(queue, topology))
    assert await broker.count([queue, f"{queue}.moved"]) == [QueueCount(queue, 1, 0), None]
    await broker.close()


async def collect(steps: AsyncIterator[TopologyChange | QueueCount]) -> list[TopologyChange | QueueCount]:
    return [step async for step in steps]
