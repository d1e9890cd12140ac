"""Starts runs of three kinds through proxies of its own, some twice, steers some, and looks after all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from contracts.order_fulfilment import order_fulfilment
from contracts.trips import TripRequested, trip_booking
from pavane import Client, Event, RunStatus, Settings, Workflow
from pavane.client.connection import close_pair, connect, open_pair
from pavane.errors import InfrastructureError, RunError
from pavane.runtime.clock import SystemClock
from services.demo.drive import TERMINAL
from services.demo.generated import generate
from services.demo.options import Options
from services.inventory.database import database_url as stock_url
from services.inventory.stocktaking import take_stock
from services.trips.catalogue import Offer, fill
from services.trips.database import database_url as trips_url
from tests.chaos.goods import Goods, known_from_generated
from tests.chaos.storm.field import SETTINGS, Field
from tests.chaos.storm.plan import Plan
from tests.chaos.storm.worker import CALM, Cast, choreography
from tests.checker.evidence import Planned
from tests.checker.history import History
from tests.checker.recording_broker import RecordingBroker
from tests.checker.recording_store import RecordingStore
from tests.services.agency import ENDINGS, KINDS
from tests.workload.people import People

REPEATED, CANCELLED = 0.05, 0.03
LETTERS_EVERY = 3.0
CHEERFUL = 0.7
"""Share of the trips to where everything is free."""

TAIL = 10
"""Fresh orders, and as many fresh trips, when all is over."""

OURS = ("crash_loop", "delivery_limit", "attempts")
"""Reasons for which the letter of a reference application is sent back: whoever kills processes has caused them."""

log = logging.getLogger("tests.chaos")


@asynccontextmanager
async def client_of(field: Field, cast: Cast, name: str, idle_after: float) -> AsyncGenerator[Client, None]:
    """A recorded client that goes through the client's proxies."""
    amqp, redis = field.client_proxies
    settings = Settings(
        broker_url=amqp.url,
        state_url=redis.url,
        namespace=field.namespaces[cast],
        shards=int(SETTINGS["PAVANE_SHARDS"]),
        heartbeat=float(SETTINGS["PAVANE_HEARTBEAT"]),
        publish_timeout=float(SETTINGS["PAVANE_PUBLISH_TIMEOUT"]),
        state_timeout=float(SETTINGS["PAVANE_STATE_TIMEOUT"]),
        idle_after=idle_after,
    )
    store, broker = connect(settings)
    await open_pair(store, broker)
    history = History.in_folder(field.folder / cast, name)
    recorded = RecordingStore(store, history), RecordingBroker(broker, history)
    try:
        yield Client.over(*recorded, settings=settings, clock=SystemClock())
    finally:
        await close_pair(store, broker)
        history.close()


@dataclass(frozen=True)
class Order:
    """One run to be started."""

    workflow: Workflow[Any, Any]
    event: Event
    run_id: str

    @property
    def record(self) -> str:
        return f"{self.workflow.name}:{self.run_id}"


class Load:
    """All that is started in a storm.

    Attributes:
        goods: the orders, and what is known of them beforehand.
        people: who use the generated choreography.
        planned: the starts of the reference applications, and how each was answered.
        redriven: letters of theirs that were sent back.
    """

    def __init__(self, plan: Plan, reference: Client, generated: Client, folder: Path) -> None:
        self._plan = plan
        self._client = reference
        self._folder = folder
        self._chance = Random(f"{plan.seed}/load")
        each = plan.starts // 3
        options = Options(count=each + TAIL, seed=plan.seed)
        wares = generate(options)
        self.goods = Goods(wares, known_from_generated(wares), f"generated with SEED={plan.seed}")
        orders = [Order(order_fulfilment, order, order.order_id) for order in wares.orders]
        trips = [self._trip(f"t{number}", self._city()) for number in range(each)]
        fresh = [self._trip(f"fresh{number}", next(iter(ENDINGS))) for number in range(TAIL)]
        self._usual = [*orders[:each], *trips]
        self._tail = [*orders[each:], *fresh]
        self._chance.shuffle(self._usual)
        self.people = People(generated, choreography(plan.seed), Random(f"{plan.seed}/people"))
        self.planned: dict[str, Planned] = {}
        self.redriven: list[str] = []

    @property
    def accepted(self) -> int:
        """Starts that were answered."""
        return sum(one.asked == "ok" for one in (*self.planned.values(), *self.people.planned.values()))

    def goes_on_with(self, reference: Client, generated: Client) -> None:
        """Other clients, on connections of their own."""
        self._client = reference
        self.people.client = generated

    async def prepare(self) -> None:
        """Fill the stock and the catalogue."""
        await take_stock(stock_url(), self.goods.wares.products)
        opening = len(self._usual) + TAIL
        offers = [
            Offer(kind, city, opening, Decimal(100))
            for city in ENDINGS
            for kind in KINDS
            if city != f"no {kind}"
        ]
        await fill(trips_url(), offers)

    async def run(self) -> None:
        """Start everything but the tail, at an even rate."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.people.start_runs(self._plan.starts // 3, self._plan.lasting))
            for order in self._usual:
                await asyncio.sleep(self._chance.uniform(0, 2 * self._plan.lasting / len(self._usual)))
                tasks.create_task(self._start(order, twice=self._chance.random() < REPEATED))

    async def steer(self) -> None:
        """Steer the generated runs, and send back what was killed too often; for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.people.steer())
            tasks.create_task(self.look_after_letters())

    def calm(self) -> None:
        """Nothing goes wrong in generated handlers any more."""
        (self._folder / CALM).touch()

    async def tail(self, within: float) -> list[str]:
        """Fresh runs, when all is over: each has to end as it would on an ordinary day. Sentences for those that
        do not."""
        for order in self._tail:
            await self._start(order, twice=False)
        handles = [self._client.run(order.workflow, order.run_id) for order in self._tail]
        ended = await asyncio.gather(*(handle.wait(within) for handle in handles), return_exceptions=True)
        return [
            f"the fresh run {order.record} is {how.status if isinstance(how, RunStatus) else repr(how)}"
            for order, how in zip(self._tail, ended, strict=True)
            if not isinstance(how, RunStatus) or how.status not in TERMINAL
        ]

    async def request(self, trip_id: str) -> None:
        """Request one more trip."""
        order = self._trip(trip_id, next(iter(ENDINGS)))
        await self._client.start(order.workflow, order.event)

    async def tidy_up(self) -> None:
        """What people do with generated runs when the faults are over, again and again: a queue of letters that is
        full holds up its worker, until somebody has dealt with them."""
        while True:
            try:
                await self.people.resume_all()
                await self.people.discard_all()
            except (RunError, InfrastructureError) as error:
                log.info("tidied up later: %s", error)
            await asyncio.sleep(LETTERS_EVERY)

    async def statuses(self) -> dict[str, RunStatus]:
        """Every run of the reference applications, by its record."""
        return {run.run: run async for run in self._client.runs()}

    async def _start(self, order: Order, *, twice: bool) -> None:
        """Whoever gets no answer asks again; the run's id makes that harmless."""
        self.planned[order.record] = Planned(record=order.record, asked="info")
        await self._insist(lambda: self._client.start(order.workflow, order.event))
        self.planned[order.record] = Planned(record=order.record, asked="ok")
        if twice:
            await self._insist(lambda: self._client.start(order.workflow, order.event))
        if order.workflow is trip_booking and self._chance.random() < CANCELLED:
            await self._cancel(order)

    async def _cancel(self, order: Order) -> None:
        try:
            await self._client.run(order.workflow, order.run_id).cancel("by chance")
        except (RunError, InfrastructureError) as error:
            log.info("%s is not cancelled: %s", order.record, error)

    async def _insist(self, ask: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await ask()
                return
            except InfrastructureError as error:
                log.info("asked again: %s", error)
                await asyncio.sleep(self._chance.uniform(0.2, 1.5))

    async def look_after_letters(self) -> None:
        while True:
            await asyncio.sleep(LETTERS_EVERY)
            try:
                for letter in await self._client.dead_letters.list().all():
                    if letter.reason in OURS:
                        report = await self._client.dead_letters.redrive(letter.id, reason="the storm did it")
                        self.redriven += [f"{letter.worker} {letter.reason} {letter.error}"] * report.done
            except InfrastructureError as error:
                log.info("dead letters are looked at later: %s", error)

    def _city(self) -> str:
        everything, *others = ENDINGS
        return everything if self._chance.random() < CHEERFUL else self._chance.choice(others)

    def _trip(self, trip_id: str, city: str) -> Order:
        return Order(
            trip_booking, TripRequested(trip_id=trip_id, traveller="traveller-17", city=city), trip_id
        )
