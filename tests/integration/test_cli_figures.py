"""`pavane queues`, `events unrouted` and `workflows stats` on real servers, beside workers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pavane.client.critical_path import CriticalPath, PathStep
from pavane.client.unrouted import UnroutedEvent
from pavane.client.workflow_stats import StepStats
from pavane.model.views import QueueInfo
from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "poison"


@pytest.fixture(scope="module")
def pavane(rabbit: RabbitServer, redis_server: RedisServer, poison: Path) -> Iterator[Pavane]:
    """The program in a namespace of its own in which runs have ended; workers run."""
    program = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        CLI_SHOP_POISON=str(poison),
    )
    with program.running() as workers:
        workers.wait_until_ready()
        for item in ("book", "book", "none"):
            start(program, item)
        yield program


def start(pavane: Pavane, item: str) -> str:
    payload = f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'
    done = pavane("start", "orders", "--payload", payload, "--wait", "--timeout", "20", "--json")
    assert done.code in (0, 1), done
    return str(done.document["run"])


def test_queues_lists_every_queue_with_its_consumers(pavane: Pavane) -> None:
    document = pavane.json("queues")
    assert document.keys() == {"items", "cursor"}
    assert all(item.keys() == QueueInfo.model_fields.keys() for item in document["items"])
    found = {item["queue"].partition(".")[2]: item for item in document["items"]}
    assert found["q.stock.reserve"]["consumers"] == found["q.mail.confirm"]["consumers"] == 1
    assert (found["q.mail.confirm"]["worker"], found["q.mail.confirm"]["ready"]) == ("mail.confirm", 0)
    assert {"undo.stock.reserve", "intake.stock", "intake.mail"} <= found.keys()
    human = pavane("queues")
    assert human.code == 0
    assert "mail.confirm" in human.out
    assert human.err.endswith("not seen: set PAVANE_MANAGEMENT_URL\n")


def test_queues_can_be_watched(pavane: Pavane) -> None:
    with pavane.watching("queues") as lines:
        first, second = next(lines), next(lines)
    assert first["items"]
    assert [item["queue"] for item in first["items"]] == [item["queue"] for item in second["items"]]


def test_unrouted_events_are_listed_by_name(pavane: Pavane) -> None:
    found: dict[str, Any] = {}
    # A run has ended a moment before it is written down that nobody heard its last event.
    while {name: item["count"] for name, item in found.items()} != {"cli.confirmed": 2, "cli.refused": 1}:
        items = pavane.json("events", "unrouted", "--since", "1h")["items"]
        found = {item["event"]: item for item in items}
    assert all(item.keys() == UnroutedEvent.model_fields.keys() for item in found.values())
    # Both end their runs, and nobody subscribes to them.
    assert [item["endings"] for item in found.values()] == [2, 1]
    assert found["cli.confirmed"]["example_run"].startswith("orders:")
    human = pavane("events", "unrouted")
    assert (human.code, "2 ended their run" in human.out) == (0, True)
    assert (
        pavane("events", "unrouted", "--until", "1d").out
        == "Every event of the latest 1000 runs was taken.\n"
    )


def test_stats_tell_of_every_step(pavane: Pavane) -> None:
    document = pavane.json("workflows", "stats", "--workflow", "orders")
    assert all(item.keys() == StepStats.model_fields.keys() for item in document["items"])
    found = {item["worker"]: item for item in document["items"]}
    assert list(found) == ["mail.confirm", "stock.reserve"]
    for item in found.values():
        assert (item["workflow"], item["runs"], item["waiting"], item["committed"]) == ("orders", 3, 0, 3)
        assert 0 <= item["p50_s"] <= item["p95_s"] < 20
    human = pavane("workflows", "stats")
    assert (human.code, "stock.reserve" in human.out) == (0, True)
    assert pavane.json("workflows", "stats", "--workflow", "nothing")["items"] == []


def test_the_critical_path_of_a_run_leads_to_its_end(pavane: Pavane) -> None:
    run = start(pavane, "book")
    document = pavane.json("workflows", "stats", "--run", run)
    assert document.keys() == CriticalPath.model_fields.keys()
    first, last = document["path"]
    assert first.keys() == PathStep.model_fields.keys()
    assert [(step["worker"], step["event"]) for step in (first, last)] == [
        ("stock.reserve", "cli.placed"),
        ("mail.confirm", "cli.reserved"),
    ]
    parts = sum(step["waited_s"] + step["duration_s"] for step in (first, last))
    assert parts == pytest.approx(document["total_s"])
    human = pavane("workflows", "stats", "--run", run)
    assert (human.code, "in all" in human.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--run", "no run"], 2),
        (["--run", "orders:nothing"], 3),
        (["--run", "orders:1", "--workflow", "orders"], 2),
    ],
)
def test_a_path_of_no_run_is_refused(pavane: Pavane, words: list[str], code: int) -> None:
    assert pavane("workflows", "stats", *words).code == code
