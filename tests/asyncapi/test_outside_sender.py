"""A program of twenty lines, with another AMQP library and only the document, starts runs that complete."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from contracts.order_fulfilment import order_fulfilment
from contracts.orders import OrderPlaced
from pavane import Client, Event, Settings, Workflow
from services.demo.stage import app as order_app
from services.inventory.database import database_url
from services.inventory.stocktaking import take_stock
from tests.asyncapi.definitions import Moved, moves, second_version
from tests.integration.cli_runner import Pavane
from tests.servers import RabbitServer, RedisServer
from tests.services.shop import SHELVES, order

SCRIPT = Path(__file__).with_name("outside_sender.py")
PATIENCE = 60.0

C = TypeVar("C", bound=Event)


@pytest.fixture
def settings(rabbit: RabbitServer, redis_server: RedisServer, namespace: str) -> Settings:
    return Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace)


def document_of(app: str, settings: Settings, folder: Path) -> Path:
    """The document of an app, saved, as its users get it."""
    assert settings.broker_url is not None
    pavane = Pavane.on(PAVANE_BROKER_URL=settings.broker_url, PAVANE_NAMESPACE=settings.namespace)
    document = folder / "asyncapi.json"
    document.write_text(pavane("asyncapi", app).out)
    return document


async def send(document: Path, operation: str, payload: str, settings: Settings) -> None:
    """Let the system outside send an event; it ends when the broker has confirmed it."""
    url = urlsplit(settings.broker_url or "")
    words = [str(document), operation, url.username or "", url.password or ""]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-I", str(SCRIPT), *words],
        input=payload,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr


async def completed(client: Client, workflow: Workflow[Any, C], run_id: str) -> C:
    """The run's completing event. The run is there as soon as a worker has taken the event."""
    async with asyncio.timeout(PATIENCE):
        while await client.runs(workflow=workflow.name).count() == 0:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.02)
    return await client.run(workflow, run_id).result(PATIENCE)


async def test_an_order_that_it_places_is_fulfilled(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA", str(tmp_path))
    await take_stock(database_url(), SHELVES)
    placed: OrderPlaced = order("77", lamp=2, bowl=1)
    async with order_app.running(settings) as client:
        document = document_of("services.demo.stage:app", settings, tmp_path)
        await send(document, "outside.send.order.placed", placed.model_dump_json(), settings)
        confirmed = await completed(client, order_fulfilment, "77")
    assert confirmed.order.order_id == "77"


async def test_a_second_version_is_sent_as_such(settings: Settings, tmp_path: Path) -> None:
    """The header of the version is one that the document asks for."""
    async with second_version.running(settings) as client:
        document = document_of("tests.asyncapi.definitions:second_version", settings, tmp_path)
        await send(document, "outside.send.move.asked", '{"move": "m1", "metres": 5}', settings)
        assert await completed(client, moves, "m1") == Moved(move="m1", metres=5)


def test_the_program_knows_nothing_of_pavane() -> None:
    code = SCRIPT.read_text().split('"""')[2]
    assert "pavane" not in re.sub(r"#.*", "", code)
