"""The demo on servers that know nobody but the exported users: a process and a user for each service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from pavane import Client, Settings
from services.demo.audit import audit
from services.demo.books import read_books
from services.demo.databases import begin_empty
from services.demo.drive import Drive
from services.demo.generated import generate
from services.demo.options import Options
from services.demo.servers import ServiceProcess
from services.inventory.database import database_url
from services.inventory.stocktaking import take_stock
from tests.integration.cli_runner import Pavane
from tests.users import Users, refusals, servers_of

SERVICES = ("orders", "inventory", "payments", "shipping", "notifications")
APP = "services.demo.stage:app"
"""All five together."""

OPTIONS = Options(count=60, seed=3, decline=0.2, refuse=0.1)


@pytest.fixture
def users() -> Iterator[Users]:
    with servers_of("demo", [APP]) as users:
        Pavane.on(**users.operator).json("topology", "apply", APP)
        yield users


@pytest.fixture
async def services(users: Users) -> AsyncIterator[list[ServiceProcess]]:
    async with AsyncExitStack() as stack:
        started: list[ServiceProcess] = []
        for name in SERVICES:
            started.append(await ServiceProcess.start(name, users.service(name)))
            stack.push_async_callback(started[-1].stop)
        for service in started:
            await service.ready()
        yield started


@pytest.mark.timeout(180)
async def test_the_books_add_up_and_nothing_was_refused(
    users: Users, services: list[ServiceProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin_empty(clear=False)
    wares = generate(OPTIONS)
    await take_stock(database_url(), wares.products)
    for name, value in users.outside.items():
        monkeypatch.setenv(name, value)
    async with Client(Settings()) as client:
        drive = Drive(client, wares.orders, OPTIONS)
        await drive.run(lambda: None)
        await drive.settle(lambda: None)
        for service in services:
            await service.stop()
        violations = audit(await read_books(), drive.runs, await client.queues(), orders=drive.total)
    assert violations == []
    assert drive.ended == OPTIONS.count
    assert drive.by_status["completed"] > 0
    # What Redis is asked at a start, and what would tell a service the server's passwords.
    assert refusals(users.redis) == []
