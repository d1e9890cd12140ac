"""`pavane graph --run` on real servers: what happened in a run is drawn over what is defined."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.integration.cli_runner import APP, Pavane
from tests.servers import RabbitServer, RedisServer


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shop") / "poison"


@pytest.fixture(scope="module")
def pavane(rabbit: RabbitServer, redis_server: RedisServer, poison: Path) -> Iterator[Pavane]:
    """The program in a namespace of its own, with workers."""
    program = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=redis_server.url,
        PAVANE_NAMESPACE=f"t{secrets.token_hex(8)}",
        PAVANE_APP=APP,
        CLI_SHOP_POISON=str(poison),
    )
    with program.running() as workers:
        workers.wait_until_ready()
        yield program


def started(pavane: Pavane, item: str) -> str:
    payload = f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'
    return str(pavane.json("start", "orders", "--payload", payload)["run"])


def follow(pavane: Pavane, run: str, kind: str) -> None:
    """Wait until a line of that kind is in its history."""
    lines: list[Any] = []
    while not any(line.get("kind") == kind for line in lines):
        lines = pavane("runs", "watch", run, "--timeout", "0.5", "--json").lines


def nodes(document: Any) -> dict[str, Any]:
    return {node["name"]: node for node in document["nodes"]}


def test_an_undone_run_is_drawn(pavane: Pavane) -> None:
    run = started(pavane, "none")
    follow(pavane, run, "compensated")
    found = nodes(pavane.json("graph", "--run", run))
    assert found["stock.reserve"]["state"] == "undone"
    assert found["mail.confirm"]["state"] == "committed"
    assert found["cli.refused"]["became"] == ["ended the run"]
    assert found["cli.confirmed"]["state"] == "idle"


def test_a_dead_step_is_drawn_with_its_error_made_harmless(pavane: Pavane, poison: Path) -> None:
    poison.touch()
    run = started(pavane, "poison")
    follow(pavane, run, "stalled")
    for format in ("mermaid", "dot", "svg"):
        done = pavane("graph", "--run", run, "--format", format)
        assert done.code == 0
        assert "dead" in done.out
        assert "\x1b" not in done.out
    root = ElementTree.fromstring(pavane("graph", "--run", run, "--format", "svg").out)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert run in texts
    assert "error: Reject: poisoned \ufffd[31m" in texts


def test_a_timer_that_waits_is_drawn_at_its_event(pavane: Pavane) -> None:
    run = started(pavane, "later")
    follow(pavane, run, "timer_set")
    confirmed = nodes(pavane.json("graph", "--run", run))["cli.confirmed"]
    assert confirmed["state"] == "waiting"
    assert confirmed["became"][0].startswith("due at 20")


def test_a_run_that_is_not_there_is_not_found(pavane: Pavane) -> None:
    done = pavane("graph", "--run", "orders:nope", "--json")
    assert (done.code, done.error["code"]) == (3, "run_not_found")
