"""The demo on RabbitMQ and Redis: a process per service, and none left when it is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from services.demo.servers import ServiceFailed, ServiceProcesses
from tests.servers import RabbitServer, RedisServer

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"orders", "inventory", "payments", "shipping", "notifications"}


@pytest.fixture
def environment(rabbit: RabbitServer, redis_server: RedisServer, namespace: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PAVANE_")}
    return {
        **given,
        "PAVANE_BROKER_URL": rabbit.url,
        "PAVANE_STATE_URL": redis_server.url,
        "PAVANE_NAMESPACE": namespace,
        "JSON": "1",
    }


@pytest.fixture(autouse=True)
def none_left(namespace: str) -> Generator[None, None, None]:
    """No process of this test's namespace outlives it."""
    yield
    assert not services_of(namespace)


def services_of(namespace: str) -> set[str]:
    """Services whose processes run in the namespace."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:  # it has ended, or is not ours
            continue
        if f"PAVANE_NAMESPACE={namespace}".encode() in environment:
            found |= {one for one in SERVICES if f"services.{one}\0".encode() in command}
    return found


def start(environment: dict[str, str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.demo"],
        cwd=ROOT,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.usefixtures("kind")
def test_a_process_per_service_comes_to_books_that_add_up(environment: dict[str, str]) -> None:
    demo = start(environment, COUNT="60", SEED="3")
    said, complaints = demo.communicate(timeout=110)
    assert demo.returncode == 0, said + complaints
    document = json.loads(said.splitlines()[-1])
    assert document["mode"] == "servers"
    assert document["runs"]["total"] == sum(document["runs"]["by_status"].values()) == 60
    assert document["violations"] == []
    assert "PAVANE_" not in said


def test_a_second_round_in_the_same_namespace_is_refused(environment: dict[str, str]) -> None:
    rounds = [start(environment, COUNT="2").communicate(timeout=110) for _ in range(2)]
    assert "everything adds up" in rounds[0][0]
    assert "order_fulfilment:1001 exists already: choose another PAVANE_NAMESPACE" in rounds[1][1]


def test_a_demo_that_is_asked_to_stop_takes_its_services_along(
    environment: dict[str, str], namespace: str
) -> None:
    demo = start(environment, COUNT="1000", RATE="1")
    assert demo.stdout is not None
    while "of 1000 runs have ended" not in demo.stdout.readline():
        assert demo.poll() is None
    assert services_of(namespace) == SERVICES
    demo.send_signal(signal.SIGTERM)
    _, complaints = demo.communicate(timeout=60)
    assert (demo.returncode, complaints.splitlines()[-1]) == (130, "stopped")


async def test_a_service_that_cannot_start_is_told_with_its_last_words(environment: dict[str, str]) -> None:
    processes = ServiceProcesses(["shipping"])
    try:
        with pytest.raises(ServiceFailed) as raised:
            await processes.start({**environment, "PAVANE_BROKER_URL": "amqp://127.0.0.1:9/"})
    finally:
        await processes.stop()
    assert str(raised.value).startswith("The shipping service did not get ready.")
    assert "BrokerUnavailable" in str(raised.value)
