"""`pavane queues` with the management API: what only that knows, and what happens if it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer, free_port


@pytest.fixture(scope="module")
def managed() -> Iterator[RabbitServer]:
    with RabbitServer(management=True) as server:
        yield server.start()


def program(managed: RabbitServer, redis_server: RedisServer, namespace: str, url: str) -> Pavane:
    made = Pavane.on(
        PAVANE_BROKER_URL=managed.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_MANAGEMENT_URL=url,
        PAVANE_NAMESPACE=namespace,
        PAVANE_APP=APP,
    )
    with made.running() as workers:  # so that they are registered
        workers.wait_until_ready()
        workers.stop()
    return made


def test_unacknowledged_messages_and_rates_are_seen(
    managed: RabbitServer, redis_server: RedisServer, namespace: str
) -> None:
    pavane = program(managed, redis_server, namespace, managed.management_url)
    pavane.json("start", "orders", "--payload", '{"order":"1"}')
    found: dict[str, Any] = {}
    while found.get("in_per_s") is None or found["unacked"] is None:  # the API's figures are some seconds old
        items = pavane.json("queues")["items"]
        [found] = [item for item in items if item["worker"] == "stock.reserve" and ".q." in item["queue"]]
    assert (found["ready"], found["unacked"]) == (1, 0)
    done = pavane("queues")
    assert (done.code, "PAVANE_MANAGEMENT_URL" in done.err) == (0, False)


def test_an_api_that_does_not_answer_keeps_nobody_from_the_rest(
    managed: RabbitServer, redis_server: RedisServer, namespace: str
) -> None:
    url = f"http://guest:n0t-the-passw0rd@127.0.0.1:{free_port()}"
    done = program(managed, redis_server, namespace, url).outside("queues")
    assert (done.code, "stock.reserve" in done.out) == (0, True)
    assert "unacknowledged messages and rates are not seen" in done.err
    assert "n0t-the-passw0rd" not in done.err
