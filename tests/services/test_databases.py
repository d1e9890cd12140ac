"""Databases that cannot be opened are told with what to do and without a secret; one that comes back is used again."""

from __future__ import annotations

import asyncio
import traceback
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import Connection, make_url, select, text

import services.trips.database as trips
from services.demo.databases import SERVICES as OF_THE_DEMO
from services.payments.database import charges
from services.payments.till import open_till
from tests.servers import PostgresServer, free_port
from tests.services.shop import accepted, order

SERVICES = OF_THE_DEMO | {"trips": trips}
SECRET = "geheim-7"
UNUSABLE = [
    "nonsense",
    f"mysql://keeper:{SECRET}@127.0.0.1/orders",
    f"postgres://keeper:{SECRET}@127.0.0.1/orders",
    f"postgresql+nodriver://keeper:{SECRET}@127.0.0.1/orders",
    f"postgresql+psycopg://keeper:{SECRET}/orders",
    f"postgresql+psycopg://keeper:half@{SECRET}@127.0.0.1/orders",
    f"postgresql+psycopg://127.0.0.1:5432/orders?password=half@{SECRET}",
    "sqlite:////proc/nowhere/orders.db",
]


async def refusal(service: str, url: str) -> str:
    """All that a log shows of a database that cannot be opened; what is promised of each refusal holds."""
    module = SERVICES[service]
    with pytest.raises(module.DatabaseUnavailable) as raised:
        async with module.open_database(url):
            pass
    said = str(raised.value)
    assert said.startswith(f"The {service} service ")
    assert f"{service.upper()}_DATABASE_URL says where it is" in said
    shown = "".join(traceback.format_exception(raised.value))
    assert SECRET not in shown
    assert "half" not in shown
    return said


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("url", UNUSABLE)
async def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(service: str, url: str) -> None:
    await refusal(service, url)


@pytest.mark.parametrize("service", SERVICES)
async def test_what_the_server_says_is_passed_on(service: str, postgres: PostgresServer) -> None:
    place = make_url(postgres.url)
    wrong = {
        "password authentication failed": place.set(password=SECRET),
        'database "nowhere" does not exist': place.set(database="nowhere"),
        "refused": place.set(port=free_port(), password=SECRET),
    }
    for reason, url in wrong.items():
        said = await refusal(service, url.render_as_string(hide_password=False))
        assert reason in said
        assert (place.password or "-") not in said


async def test_a_server_that_was_away_costs_nothing_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresServer() as server:
        monkeypatch.setenv("PAYMENTS_DATABASE_URL", server.new_database())
        async with open_till() as till:
            assert await till.charge("key-1", accepted(order("1")))
            await asyncio.to_thread(server.restart)
            assert await till.charge("key-1", accepted(order("1")))
            charged = await till.database.transact(lambda one: one.scalars(select(charges.c.amount)).all())
    assert charged == [Decimal(40)]


async def test_nobody_waits_for_ever_for_a_lock_or_for_a_frozen_process(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYMENTS_DATABASE_URL", postgres.new_database())
    async with open_till() as till:
        for setting, limit in {"lock_timeout": "30s", "idle_in_transaction_session_timeout": "1min"}.items():
            asked = partial(Connection.scalar, statement=text(f"show {setting}"))
            assert await till.database.transact(asked) == limit
