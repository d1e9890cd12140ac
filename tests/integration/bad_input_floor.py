"""Where bad input is thrown at a process that works on real servers, and what is checked after each throw."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pavane import Client, DeadLetter, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.topology import Names, queues_of, wheel_queues_of
from pavane.ports.broker import Broker, ToDeadLetters
from pavane.ports.store import Store
from pavane.runtime.clock import SystemClock
from pavane.runtime.process import Process
from tests.bad_input import shop
from tests.integration.raw_amqp import RawPublisher

PATIENCE = 20.0


async def eventually(what: str, true: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not await true():  # noqa: ASYNC110 - a server changes, nobody could set an event
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} s: {what}") from None


class Complaints(logging.Handler):
    """Keeps what pavane says about lost connections and about its own bugs: neither may come of a message."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "lost" in text or "bug in pavane" in text:
            self.found.append(f"{text}\n{record.exc_info}")


class Floor:
    """All workers of `tests.bad_input.shop` in one process, consuming."""

    def __init__(self, settings: Settings, store: Store, broker: Broker, process: Process) -> None:
        self._url = settings.broker_url or ""
        self._numbers = itertools.count(1)
        self._process = process
        self._broker = broker
        self.names = Names(settings.namespace)
        topology = shop.app.catalog(settings).topology()
        self.queues, self.wheel = queues_of(topology), wheel_queues_of(topology)
        self.store = store
        self.client = Client.over(store, broker, settings=settings, clock=SystemClock())
        self.complaints = Complaints()

    async def throw(self, queue: str, properties: bytes, body: bytes) -> None:
        """Publish a message to a queue of jobs by hand, and wait for its confirm."""

        exchange = self.names.jobs(self.names.service_of(queue) or "")

        def publish() -> None:
            with RawPublisher(self._url) as publisher:
                publisher.publish(exchange, queue, properties, body)

        await asyncio.to_thread(publish)

    def queue(self, worker: str) -> str:
        return self.names.queue(*worker.split("."))

    async def only_letter(self) -> DeadLetter:
        """Wait for a dead letter in the index; the one there is."""
        letters = self.client.dead_letters

        async def there() -> int:
            return await letters.list().count()

        await eventually("a dead letter in the index", there)
        [letter] = await letters.list().all()
        return letter

    async def body_in_queue(self, letter: DeadLetter) -> bytes:
        """The bytes of the message in the dead-letter queue, which names the letter and is left there."""
        queue = self.names.dead_letter_queue(*letter.worker.split("."))

        async def there() -> bool:
            [count] = await self._broker.count([queue])
            return count is not None and count.ready == 1

        await eventually(f"the letter in {queue}", there)
        delivery = await self._broker.get(queue)
        assert delivery is not None
        assert delivery.message.headers["pavane-letter"] == letter.id
        assert delivery.message.headers["pavane-reason"] == letter.reason
        await self._broker.publish(delivery.message, ToDeadLetters(queue))
        delivery.ack()
        return delivery.message.body

    async def counts(self, *queues: str) -> list[int]:
        """Messages that wait in these queues, which exist."""
        found = [count.ready for count in await self._broker.count(queues) if count is not None]
        assert len(found) == len(queues)
        return found

    async def take(self, queue: str, body: bytes) -> None:
        """Take the message with this body out of a queue."""
        delivery = await self._broker.get(queue)
        assert delivery is not None
        assert delivery.message.body == body
        delivery.ack()

    async def discard(self, letter: DeadLetter) -> None:
        report = await self.client.dead_letters.discard(
            letter.id, then="leave", reason="the test has seen it"
        )
        assert report.done == 1, report

    async def goes_on(self) -> None:
        """A good message is handled, by the same consumers over the same connection; nothing else is left."""
        event = await self.client.emit(shop.Knocked(by=f"the test, {next(self._numbers)}"))
        await self.heard(event)
        await self.nothing_is_left()
        assert self._process.ready
        assert self.complaints.found == []

    async def heard(self, event: str) -> None:
        async def once() -> bool:
            return shop.heard[event] >= 1

        await eventually(f"{event} handled", once)
        assert shop.heard[event] == 1

    async def nothing_is_left(self) -> None:
        """No queue but those of dead letters holds a message, and none is being worked on."""
        letters = f"{self.names.namespace}.dlq."
        queues = [queue for queue in self.queues if not queue.startswith(letters)]
        queues += self.wheel

        async def empty() -> bool:
            counts = await self._broker.count(queues)
            return not self._process.jobs and not any(count.ready for count in counts if count)

        await eventually("every queue empty", empty)


@asynccontextmanager
async def open_floor(broker_url: str, state_url: str) -> AsyncIterator[Floor]:
    """A floor in a namespace of its own."""
    settings = Settings(
        broker_url=broker_url, state_url=state_url, namespace=f"t{secrets.token_hex(6)}", shards=2
    )
    store, broker = connect(settings)
    await open_pair(store, broker)
    try:
        await shop.app.prepare(store, broker, settings)
        process = shop.app.process(store, broker, settings, SystemClock())
        floor = Floor(settings, store, broker, process)
        logging.getLogger("pavane").addHandler(floor.complaints)
        try:
            await process.start()
            yield floor
        finally:
            await process.stop(5)
            logging.getLogger("pavane").removeHandler(floor.complaints)
    finally:
        await close_pair(store, broker)
