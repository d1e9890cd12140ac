"""Trips on RabbitMQ and Redis, two processes at work: joined once, cancelled where one booking cannot be had."""

from __future__ import annotations

import asyncio

import pytest

from contracts.trips import trip_booking
from pavane import Client, Settings
from services.trips.catalogue import fill
from services.trips.database import database_url
from tests.crash.stage import eventually
from tests.crash.workers import WorkerProcess
from tests.servers import RabbitServer, RedisServer
from tests.services.agency import ENDINGS, catalogue, read_books, trip, violations

ROUNDS = 5
"""Trips for each ending."""


@pytest.mark.usefixtures("kind")
async def test_two_processes_book_every_trip_as_one_would(
    rabbit: RabbitServer, redis_server: RedisServer, namespace: str
) -> None:
    settings = Settings(broker_url=rabbit.url, state_url=redis_server.url, namespace=namespace)
    environment = {
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_server.url,
        "PAVANE_NAMESPACE": namespace,
        "LATENCY": "0.05",
    }
    await fill(database_url(), catalogue(opening=100))
    words = ("run", "services.trips:app")
    async with (
        WorkerProcess(environment, *words, module="pavane.cli"),
        WorkerProcess(environment, *words, module="pavane.cli"),
        Client(settings) as client,
        asyncio.timeout(60),
    ):
        asked = [(f"{city} {n}".replace(" ", "-"), city) for n in range(ROUNDS) for city in ENDINGS]
        handles = [await client.start(trip_booking, trip(trip_id, city)) for trip_id, city in asked]
        runs = {handle.run_id: await handle.wait() for handle in handles}
        assert {run_id: runs[run_id].reason for run_id, _ in asked} == {
            run_id: ENDINGS[city] for run_id, city in asked
        }
        for handle in handles:
            confirmations = await handle.steps(worker="trips.confirm_trip").all()
            done = [step for step in confirmations if step.status == "committed"]
            assert len(done) == (runs[handle.run_id].status == "completed")

        async def everybody_knows() -> bool:
            return (await read_books()).told.total() == len(asked)

        await eventually("every traveller was told", everybody_knows)
    assert violations(await read_books(), runs) == []
