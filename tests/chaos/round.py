"""One round: servers and services started, orders placed, everybody killed, everything waited for and judged."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from contracts.order_fulfilment import order_fulfilment
from pavane import Client, Settings
from pavane.client.connection import close_pair, connect, open_pair
from pavane.core.identity import run_key
from pavane.runtime.clock import SystemClock
from services.demo.books import Books, read_books
from services.demo.stage import app
from services.inventory.database import database_url
from services.inventory.stocktaking import take_stock
from tests.chaos import judge
from tests.chaos.goods import Goods
from tests.chaos.keeper import Exit, Keeper, Kill
from tests.chaos.load import Load
from tests.chaos.outages import Outages
from tests.chaos.plan import Plan
from tests.chaos.remains import Remains
from tests.servers import KEEPS_ALL, RabbitServer, RedisServer

T = TypeVar("T")

SHOWN_EVERY = 5.0
PATIENCE = 240.0
"""Seconds after the last order is placed and the last process killed until the round is given up: a job that
was killed twice waits for two leases of a minute, and one that crash-looped for three."""


@dataclass
class Result:
    """What a round came to."""

    plan: Plan
    goods: Goods
    kills: Sequence[Kill]
    exits: Sequence[Exit]
    startups: Sequence[float]
    servers_killed: Sequence[str]
    load: Load
    books: Books
    elapsed: float
    violations: list[str] = field(default_factory=list[str])


async def play(plan: Plan, goods: Goods, folder: Path, say: Callable[[str], None]) -> Result:
    """Play a round in `folder`, where the services' databases, logs and marks are left."""
    os.environ["DATA"] = str(folder)
    await take_stock(database_url(), goods.wares.products)
    with RabbitServer() as rabbit, RedisServer(options=KEEPS_ALL) as redis:
        settings = Settings(
            broker_url=rabbit.url, state_url=redis.url, namespace=f"chaos_{secrets.token_hex(4)}"
        )
        say(f"RabbitMQ and Redis are up; namespace {settings.namespace}, folder {folder}.")
        stage = Stage(plan, goods, folder, settings, rabbit, redis)
        async with stage.running():
            return await stage.play(say)


class Stage:
    """Servers, services, orders. Use `running`, then `play`."""

    def __init__(
        self,
        plan: Plan,
        goods: Goods,
        folder: Path,
        settings: Settings,
        rabbit: RabbitServer,
        redis: RedisServer,
    ) -> None:
        self._plan = plan
        self._goods = goods
        self._rabbit = rabbit
        self._store, self._broker = connect(settings)
        client = Client.over(self._store, self._broker, settings=settings, clock=SystemClock())
        self._load = Load(client, goods.wares.orders, plan.rate)
        self._remains = Remains(self._store, rabbit, app.catalog(settings).topology())
        self._outages = Outages(rabbit, redis)
        environment = {
            "DATA": str(folder),
            "LATENCY": str(plan.options.latency),
            "PAVANE_BROKER_URL": rabbit.url,
            "PAVANE_STATE_URL": redis.url,
            "PAVANE_NAMESPACE": settings.namespace,
        }
        self._keepers = [
            Keeper(service.name, environment, plan.delays(service.name), folder, self._outages)
            for service in app.services
        ]
        self._background: list[asyncio.Task[None]] = []
        self._began = time.monotonic()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Connected, for as long as the block lasts; whatever was started is ended, by its id."""
        await open_pair(self._store, self._broker)
        try:
            yield
        finally:
            await self._leave_background()
            for keeper in self._keepers:
                await keeper.close()
            await close_pair(self._store, self._broker)

    async def play(self, say: Callable[[str], None]) -> Result:
        """All orders through, all kills done, everything quiet; then the judgement.

        Raises:
            Hangs: a process was not ready in time.
        """
        await self._start_services()
        say("The five services are ready.")
        # RabbitMQ knows a queue again after a SIGKILL once it has written the queue down.
        await asyncio.to_thread(self._rabbit.settle, *self._remains.queues)
        self._began = time.monotonic()
        self._in_background(self._show(say))
        is_quiet = await self._beside_the_background(self._to_the_end())
        elapsed = time.monotonic() - self._began
        await self._leave_background()
        say(f"{self._told()}; {'everything is quiet' if is_quiet else 'the rest is given up'}.")
        await asyncio.gather(*(keeper.stop() for keeper in self._keepers))
        return await self._judge(elapsed)

    async def _start_services(self) -> None:
        """The first one is ready before the others start: it subscribes to pavane's own events, and the others
        look at their start who does."""
        first, *others = self._keepers
        for keepers in ([first], others):
            for keeper in keepers:
                self._in_background(keeper.run())
            for keeper in keepers:
                await self._beside_the_background(keeper.ready.wait())

    async def _to_the_end(self) -> bool:
        """Orders, kills and outages at once; then wait until nothing is left to do. `False`: it takes too long."""
        self._in_background(self._load.follow())
        self._in_background(self._load.redrive_crash_loops())
        for keeper in self._keepers:
            keeper.war.set()
        lasting = len(self._goods.wares.orders) / self._plan.rate
        await asyncio.gather(
            self._load.place(),
            self._outages.run(self._plan.outages(lasting)),
            *(keeper.peace.wait() for keeper in self._keepers),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await self._load.all_ended()
                await self._remains.gone(self._keys())
        except TimeoutError:
            return False
        return True

    def _keys(self) -> list[str]:
        return [run_key(order_fulfilment.name, order.order_id) for order in self._goods.wares.orders]

    async def _judge(self, elapsed: float) -> Result:
        kills = [kill for keeper in self._keepers for kill in keeper.kills]
        exits = [gone for keeper in self._keepers for gone in keeper.exits]
        await self._load.look_at_all()
        books = await read_books()
        return Result(
            plan=self._plan,
            goods=self._goods,
            kills=kills,
            exits=exits,
            startups=[seconds for keeper in self._keepers for seconds in keeper.startups],
            servers_killed=self._outages.killed,
            load=self._load,
            books=books,
            elapsed=elapsed,
            violations=[
                *judge.judge_orders(books, self._goods.known, self._load),
                *await judge.judge_keys(),
                *judge.judge_deaths(self._plan, kills, exits, self._outages.killed),
                *judge.judge_letters(self._load),
                *judge.judge_queues(await self._remains.in_queues()),
                *await self._remains.in_records(self._keys()),
            ],
        )

    async def _show(self, say: Callable[[str], None]) -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY)
            say(self._told())

    def _told(self) -> str:
        kills = [kill for keeper in self._keepers for kill in keeper.kills]
        inside = sum(bool(kill.jobs) for kill in kills)
        servers = f", {' and '.join(self._outages.killed)} killed" if self._outages.killed else ""
        return (
            f"{time.monotonic() - self._began:5.0f} s  {self._load.placed} orders placed, {self._load.ended} ended, "
            f"{len(kills)} kills, {inside} of them in handlers{servers}"
        )

    # what goes on beside the play

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.append(asyncio.create_task(work))

    async def _beside_the_background(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work; what fails in the background ends it too."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, *self._background), return_when=asyncio.FIRST_COMPLETED)
            for done in self._background:
                if done.done():
                    done.result()
            return await task
        finally:
            task.cancel()

    async def _leave_background(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
