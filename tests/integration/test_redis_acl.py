"""The Redis user of docs/operations.md: pavane does all it does, is refused nothing, and can do no more."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from tests.integration.cli_runner import APP, ROOT, Pavane
from tests.servers import RabbitServer, RedisServer

PASSWORD = secrets.token_hex(8)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A private one, with the user."""
    server = RedisServer()
    server.start()
    with Redis.from_url(server.url) as root:
        root.execute_command("ACL", "SETUSER", "pavane", *rules().replace("PASSWORD", PASSWORD).split())
    yield server
    server.close()


@pytest.fixture(scope="module")
def url(server: RedisServer) -> str:
    return server.url.replace("redis://", f"redis://pavane:{PASSWORD}@")


def test_everything_works_and_nothing_is_refused(
    server: RedisServer, url: str, rabbit: RabbitServer, tmp_path: Path
) -> None:
    poison = tmp_path / "poison"
    pavane = Pavane.on(
        PAVANE_BROKER_URL=rabbit.url,
        PAVANE_STATE_URL=url,
        PAVANE_APP=APP,
        CLI_SHOP_POISON=str(poison),
    )
    with pavane.running() as workers:
        workers.wait_until_ready()
        for item, status in (("book", "completed"), ("none", "compensated")):
            words = ("start", "orders", "--payload", _order(item), "--wait", "--timeout", "30")
            assert pavane.json(*words, code=0 if item == "book" else 1)["status"] == status
        poison.touch()
        run = pavane.json("start", "orders", "--payload", _order("poison"))["run"]
        while not any(
            line.get("kind") == "stalled"
            for line in pavane("runs", "watch", run, "--timeout", "0.5", "--json").lines
        ):
            pass
        _look_everywhere(pavane, run)
        poison.unlink()
        pavane.json("runs", "pause", run, "--yes")
        pavane.json("dlq", "redrive", "--all", "--yes")
        pavane.json("runs", "resume", run, "--yes")
        assert pavane("runs", "watch", run, "--timeout", "30", "--json").code == 0
        later = pavane.json("start", "orders", "--payload", _order("later"))["run"]
        pavane.json("runs", "deadline", later, "2d", "--yes")
        pavane.json("runs", "cancel", later, "--yes")
    pavane.json("topology", "verify")
    pavane.json("topology", "prune", "--yes")
    with Redis.from_url(server.url) as root:
        assert root.execute_command("ACL", "LOG") == []


def test_every_command_that_a_script_can_call_is_granted() -> None:
    """Some are called once in a month, by a retention that is over."""
    scripts = ROOT / "framework" / "pavane" / "adapters" / "redis" / "scripts"
    called = {
        command.lower()
        for file in scripts.glob("*.lua")
        for command in re.findall(r"redis\.p?call\('([A-Z]+)'", file.read_text())
    }
    assert len(called) > 15
    assert called - set(re.findall(r"\+(\w+)", rules())) == set()


def rules() -> str:
    """What the page says after the user's name."""
    page = (ROOT / "docs" / "operations.md").read_text()
    [found] = re.findall(r"^user pavane (.*)$", page, re.MULTILINE)
    return str(found)


def _order(item: str) -> str:
    return f'{{"order":"{secrets.token_hex(4)}","item":"{item}"}}'


def _look_everywhere(pavane: Pavane, run: str) -> None:
    for order in ("started", "updated"):
        pavane("runs", "ls", "--order-by", order, "--json")
    pavane.json("runs", "ls", "--status", "stalled")
    pavane.json("runs", "show", run)
    pavane.json("runs", "history", run)
    [letter] = pavane.json("dlq", "ls")["items"]
    pavane.json("dlq", "show", letter["id"])
    pavane.json("dlq", "reindex", "--yes")
    assert pavane.json("audit")["items"]
    assert pavane("doctor", "--json").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "SET", "maxmemory", "1mb"),
        ("EVAL", "return 1", "0"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("FUNCTION", "FLUSH"),
        ("REPLICAOF", "NO", "ONE"),
        ("GET", "other:{s00}:epoch"),
        ("SET", "other:key", "1"),
    ],
    ids=" ".join,
)
def test_it_can_do_nothing_to_the_server_or_another_namespace(url: str, words: tuple[str, ...]) -> None:
    with Redis.from_url(url) as user, pytest.raises(NoPermissionError):
        user.execute_command(*words)
