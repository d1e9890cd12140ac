"""Every test of the services has databases of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.servers import PostgresServer
from tests.services.demo_round import write_csv
from tests.services.shop import NORTHWIND, SERVICES, Shop, databases_on, open_shop


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the services keep their databases."""
    monkeypatch.setenv("DATA", str(tmp_path))
    for name in SERVICES:
        monkeypatch.delenv(f"{name.upper()}_DATABASE_URL", raising=False)
    monkeypatch.delenv("LATENCY", raising=False)
    return tmp_path


@pytest.fixture(scope="session")
def five_databases(postgres: PostgresServer) -> dict[str, str]:
    return databases_on(postgres)


@pytest.fixture
def databases(five_databases: dict[str, str], postgres: PostgresServer) -> dict[str, str]:
    """A PostgreSQL database for each service, without any tables: the variables that say so to them."""
    for url in five_databases.values():
        postgres.empty(url)
    return five_databases


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest, data: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs once with SQLite files, and once with PostgreSQL databases."""
    if request.param == "postgresql":
        for name, url in request.getfixturevalue("databases").items():
            monkeypatch.setenv(name, url)
    return request.param


@pytest.fixture
async def shop(data: Path) -> AsyncGenerator[Shop, None]:
    """The five services on the harness, with `shop.SHELVES`."""
    async with open_shop() as shop:
        yield shop


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """The 830 real orders; where this checkout has none beside it, as many generated ones in the same format."""
    if NORTHWIND.is_dir():
        return NORTHWIND
    print("no Northwind data beside the checkout: 830 generated orders in its format instead")
    folder = tmp_path / "orders"
    folder.mkdir()
    write_csv(folder)
    return folder
